"""load_domains: the domains of a config, from any file format."""
import pathlib
import types
from typing import Any

import numpy as np

from transfer_jax.experiment.data import labels
from transfer_jax.experiment.data.decode import Decoding, decode_files
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.images import fit
from transfer_jax.experiment.data.sources import find_parts
from transfer_jax.experiment.data.splits import host_rng, stratified_rows
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


def load_domains(config: Any, workdir: str | pathlib.Path) -> Domains:
    """The Domains of a run.

    Args:
      config: the section config.data, a mapping with the keys of DATA_RULES.
        path: None (the embedded digits), a file, a folder, or 'name=path,name=path' with a file or a folder for each domain.
        format: 'folders' (of image files), 'arrays', or 'auto', where a folder with folders in it is of images.
        features, labels, domain: fields of an array file, see Fields. `domain` splits a file that is the whole path; of several files
          each is one domain.
        classes: what to do where domains differ in their classes, see labels.number_classes.
        image_size, channels: of all images, also of those in array files; None leaves them, which only array files allow.
        max_per_domain: a stratified_rows draw of so many examples, the same in every run, and listed in Domains.skipped.
        max_skipped_fraction: how many of a domain's image files may be unreadable. workers: processes that decode, 0 for threads.
        cache: the folder of decoded images, workdir/cache if None.
      workdir: the run's folder.

    Raises:
      UserError: anything that is wrong with the config, the files or what is in them.
    """
    check({'data': plain(config)}, {f'data.{key}': rule for key, rule in DATA_RULES.items()})
    section = types.SimpleNamespace(**plain(config))
    try:
        return _load(section, workdir)
    except OSError as error:
        raise UserError(f'{error.filename or config["path"]}: {error.strerror or error}') from None


def _load(section, workdir):
    parts, skipped = find_parts(section)
    classes, selection, left_out = _classes(section, parts)
    domains, notes = [], []
    for part in parts:
        rows, values = selection[part.name]
        subset = _draw_subset(section, part.name, values, classes, notes)
        domains.append(_domain(section, workdir, part, rows[subset], values[subset], notes))
    return Domains(domains=tuple(domains), classes=classes, skipped=(*skipped, *left_out, *notes))


def _classes(section, parts):
    """(classes, {name: (rows, labels)}, skipped)."""
    if section.task == 'regression':
        return None, {part.name: (np.arange(len(part.labels)), part.labels) for part in parts}, []
    orders = {part.order for part in parts}
    return labels.number_classes({part.name: part.labels for part in parts}, section.classes, orders.pop() if len(orders) == 1 else None)


def _draw_subset(section, name, values, classes, notes):
    """The rows of a domain's examples that a run uses: all, or max_per_domain of them."""
    max_rows = section.max_per_domain
    if max_rows is None or max_rows >= len(values):
        return np.arange(len(values))
    notes.append({'file': name, 'reason': f'config.data.max_per_domain = {max_rows} of {len(values)} examples used'})
    return stratified_rows(values if classes else np.zeros(len(values), np.int32), max_rows, host_rng(0, f'subset {name}'))


def _domain(section, workdir, part, rows, values, notes):
    """The Domain of a part's rows; files that cannot be read are added to the notes."""
    if part.paths is not None:
        cache = pathlib.Path(workdir, 'cache') if section.cache is None else pathlib.Path(section.cache)
        how = Decoding(size=section.image_size, channels=section.channels, cache=cache, workers=section.workers,
                       max_skipped=section.max_skipped_fraction)
        inputs, readable, skipped = decode_files(part.name, [part.paths[row] for row in rows], how)
        notes += skipped
        return Domain(name=part.name, inputs=inputs, labels=values[readable])
    inputs = part.inputs[rows]
    if inputs.dtype == np.uint8:
        inputs = np.stack([fit(image, section.image_size, section.channels) for image in inputs])
    return Domain(name=part.name, inputs=inputs, labels=values)
