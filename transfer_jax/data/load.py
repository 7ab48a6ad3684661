"""load_domains: the domains that a config names, whatever they are kept in."""
import pathlib
import types

import numpy as np

from transfer_jax.data import labels
from transfer_jax.data.arrays import array_files, read_arrays, read_files
from transfer_jax.data.domains import Domain, Domains
from transfer_jax.data.formats import Fields
from transfer_jax.data.images import fit
from transfer_jax.data.splits import host_rng, stratified
from transfer_jax.runtime.config import Rule, check, choice, integer, number, optional, plain, text
from transfer_jax.runtime.errors import UserError

DATA_RULES = {
    'path': optional(text()),
    'format': choice('auto', 'folders', 'arrays'),
    'features': optional(text()),
    'labels': text(),
    'domain': optional(text()),
    'task': choice('classification', 'regression'),
    'classes': choice(*labels.RULES),
    'image_size': optional(integer(at_least=1)),
    'channels': Rule(allowed='1 or 3, or None', accepts=lambda value: value in (None, 1, 3)),
    'max_per_domain': optional(integer(at_least=1)),
    'max_skipped_fraction': number(at_least=0, at_most=1),
    'workers': integer(at_least=0),
    'cache': optional(text()),
}


def load_domains(config, workdir):
    """The Domains of a run.

    Args:
      config: the section config.data, a mapping with the keys of DATA_RULES.
        path: None (the embedded digits), a file, a folder, or 'name=path,name=path' with a file or a folder for each domain.
        format: 'folders' (of image files), 'arrays', or 'auto', where a folder with folders in it is of images.
        features, labels, domain: fields of an array file, see Fields. `domain` splits a file that is the whole path; of several files
          each is one domain.
        classes: what to do where domains differ in their classes, see labels.number_classes.
        image_size, channels: of all images, also of those in array files; None leaves them, which only array files allow.
        max_per_domain: a stratified draw of so many examples, the same in every run, noted in Domains.skipped.
        max_skipped_fraction: how many of a domain's image files may be unreadable. workers: processes that decode, 0 for threads.
        cache: the folder of decoded images, workdir/cache if None.
      workdir: the run's folder.

    Raises:
      UserError: anything that is wrong with the config, the files or what is in them.
    """
    check({'data': plain(config)}, {f'data.{key}': rule for key, rule in DATA_RULES.items()})
    section = types.SimpleNamespace(**plain(config))
    parts, skipped = _parts(section)
    for part in parts:
        if not len(part.labels):
            raise UserError(f'domain {part.name!r} is empty; leave it out or give it examples')
    classes, chosen, left_out = _classes(section, parts)
    domains, notes = [], []
    for part in parts:
        rows, values = chosen[part.name]
        kept = _kept(section, part.name, values, classes, notes)
        domains.append(_domain(section, part, rows[kept], values[kept]))
    return Domains(domains=tuple(domains), classes=classes, skipped=(*skipped, *left_out, *notes))


def _parts(section):
    """(parts, skipped) of what config.data.path names."""
    fields = Fields(features=section.features, labels=section.labels, domain=section.domain)
    if '=' in section.path:
        return read_files(_named_paths(section.path), fields, section.task), []
    path = _existing(section.path)
    if path.is_file():
        return read_arrays(path, fields, section.task), []
    files, others = array_files(path)
    if not files:
        raise UserError(f'config.data.path = {section.path!r} has no array files and no folders of images in it')
    return read_files(files, fields, section.task), others


def _named_paths(spec):
    """{name: path} of 'name=path,name=path'."""
    pairs = [entry.partition('=') for entry in spec.split(',')]
    if wrong := [''.join(pair) for pair in pairs if not all(pair)]:
        raise UserError(f'config.data.path = {spec!r}: {wrong[0]!r} is not name=path')
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise UserError(f'config.data.path = {spec!r} has a name twice; each is a domain')
    return {name.strip(): _existing(path.strip()) for name, _, path in pairs}


def _existing(path):
    if not pathlib.Path(path).expanduser().exists():
        raise UserError(f'config.data.path: there is no file or folder {path!r}')
    return pathlib.Path(path).expanduser()


def _classes(section, parts):
    """(classes, {name: (rows, labels)}, skipped)."""
    if section.task == 'regression':
        return None, {part.name: (np.arange(len(part.labels)), part.labels) for part in parts}, []
    orders = {part.order for part in parts}
    return labels.number_classes({part.name: part.labels for part in parts}, section.classes, orders.pop() if len(orders) == 1 else None)


def _kept(section, name, values, classes, notes):
    """Which of a domain's examples are used: all, or max_per_domain of them."""
    most = section.max_per_domain
    if most is None or most >= len(values):
        return np.arange(len(values))
    notes.append({'file': name, 'reason': f'config.data.max_per_domain = {most} of {len(values)} examples used'})
    return stratified(values if classes else np.zeros(len(values), np.int32), most, host_rng(0, f'subset {name}'))


def _domain(section, part, rows, values):
    inputs = part.inputs[rows]
    if inputs.dtype == np.uint8:
        inputs = np.stack([fit(image, section.image_size, section.channels) for image in inputs])
    return Domain(name=part.name, inputs=inputs, labels=values)


