"""The domains of a config, from any file format; and the keys that name them."""
import dataclasses

import numpy as np

from transfer_jax.experiment.data import labels
from transfer_jax.experiment.data.decode import Decoding, decode_files
from transfer_jax.experiment.data.domains import Domain, Domains
from transfer_jax.experiment.data.images import fit
from transfer_jax.experiment.data.sources import find_parts
from transfer_jax.experiment.data.splits import host_rng, stratified_rows
from transfer_jax.experiment.data.tables.classes import PREFIX, rename
from transfer_jax.experiment.data.tables.sparse import is_sparse
from transfer_jax.experiment.data.tables.svmlight import BASES
from transfer_jax.runtime.config import Rule, choice, integer, key, number, optional, paths, text
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path
from transfer_jax.runtime.paths import AnyPath, is_remote, path_of, scratch_of

CLASSES = Rule(allowed=f'one of {", ".join(labels.RULES)}, or map:OLD=NEW,DOMAIN/OLD=NEW or map:FILE', plain=True,
               accepts=lambda value: isinstance(value, str) and (value in labels.RULES or (value.startswith(PREFIX) and value != PREFIX)))
CHANNELS = Rule(allowed='1 or 3, or None', accepts=lambda value: value in (None, 1, 3))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """What is read: the domains of a file or a folder."""
    path: str | None = key(None, optional(paths()), 'a file, a folder of images or arrays, or '
                           "'name=path,name=path' with a file or a folder for each domain; None: the "
                           'embedded examples')
    format: str = key('auto', choice('auto', 'folders', 'arrays'), 'auto takes a folder that has folders in '
                      'it for images')
    task: str = key('classification', choice('classification', 'regression'), 'what labels are')
    features: str | None = key('x', optional(text()), 'the field of an array file that holds the inputs')
    labels: str = key('y', text(), 'the field that holds the labels')
    domain: str | None = key('d', optional(text()), 'the field that splits a file into domains; None: a '
                             'file is one domain, as each of several files is')
    classes: str = key('same', CLASSES, 'what to do where domains differ in their classes: refuse, use all, '
                       'use those that all have, or give labels other names')
    index_base: str = key('auto', choice(*BASES), 'the first number of features of svmlight files; auto: zero '
                          'where every file has a feature 0, one where none has')
    image_size: int | None = key(None, optional(integer(at_least=1)), 'images are resized and cropped to '
                                 'this square; image folders need it')
    channels: int | None = key(None, CHANNELS, 'of images; None leaves those of array files as they are')
    max_per_domain: int | None = key(None, optional(integer(at_least=1)), 'a stratified draw of so many '
                                     'examples, the same in every run')
    max_skipped_fraction: float = key(0.1, number(at_least=0, at_most=1), 'the run does not start where '
                                      'more images of a domain than this cannot be read')
    workers: int = key(0, integer(at_least=0), 'processes that decode images; 0: threads', free=True)
    cache: str | None = key(None, optional(paths()), 'the local folder of decoded images; None: cache/ in '
                            'the workdir, or a folder below TMPDIR where that is a URL', free=True)


def load_domains(section: Files, workdir: str | AnyPath, *, sparse: bool = False) -> Domains:
    """The Domains of a run.

    Args:
      section: Files, the section config.data. What max_per_domain leaves out is listed in Domains.skipped.
      workdir: the run's folder.
      sparse: whether features that all files have sparse stay so; else they become arrays.

    Raises:
      UserError: the files, or what is in them, do not fit the section.
    """
    try:
        domains = _load(section, workdir)
        return domains if sparse and all(is_sparse(domain.inputs) for domain in domains.domains) else domains.dense()
    except OSError as error:
        raise UserError(f'{error.filename or section.path}: {error.strerror or error}') from None


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
        if section.classes != 'same':
            raise UserError(f"config.data.classes = {section.classes!r} is for classes, and config.data.task = 'regression'; "
                            "leave it at 'same'")
        return None, {part.name: (np.arange(len(part.labels)), part.labels) for part in parts}, []
    names, rule, orders = {part.name: part.labels for part in parts}, section.classes, {part.order for part in parts}
    if rule.startswith(PREFIX):
        names, rule, orders = rename(names, rule), 'same', {None}
    return labels.number_classes(names, rule, orders.pop() if len(orders) == 1 else None)


def _draw_subset(section, name, values, classes, notes):
    """The rows of a domain's examples that a run uses: all, or max_per_domain of them."""
    max_rows = section.max_per_domain
    if max_rows is None or max_rows >= len(values):
        return np.arange(len(values))
    notes.append({'file': name, 'reason': f'config.data.max_per_domain = {max_rows} of {counted(len(values), "example")} used'})
    return stratified_rows(values if classes else np.zeros(len(values), np.int32), max_rows, host_rng(0, f'subset {name}'))


def _domain(section, workdir, part, rows, values, notes):
    """The Domain of a part's rows; files that cannot be read are added to the notes."""
    if part.paths is not None:
        how = Decoding(size=section.image_size, channels=section.channels, cache=_cache(section, workdir), workers=section.workers,
                       max_skipped=section.max_skipped_fraction)
        inputs, readable, skipped = decode_files(part.name, [part.paths[row] for row in rows], how)
        notes += skipped
        return Domain(name=part.name, inputs=inputs, labels=values[readable])
    inputs = part.inputs[rows]
    if inputs.dtype == np.uint8:
        inputs = np.stack([fit(image, section.image_size, section.channels) for image in inputs])
    else:
        _refuse_image_keys(section, part.name)
    return Domain(name=part.name, inputs=inputs, labels=values)


def _cache(section, workdir):
    """The local folder of decoded images. Raises UserError where config.data.cache is a URL."""
    if section.cache is None:
        return scratch_of(path_of(workdir) / 'cache')
    if is_remote(section.cache):
        raise UserError(f'config.data.cache = {section.cache!r}: decoded images are mapped into memory, so name a local folder')
    return local_path(section.cache)


def _refuse_image_keys(section, domain):
    """Raises UserError for a key of images, which a domain of features would ignore."""
    for name in ('image_size', 'channels'):
        value = getattr(section, name)
        if value is not None:
            raise UserError(f'config.data.{name} = {value} is for images, and domain {domain!r} has features; '
                            'set it to None')
