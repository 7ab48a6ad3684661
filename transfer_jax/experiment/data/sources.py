"""The files of config.data.path -> the Parts of a run, from any file format."""
import pathlib
from typing import Any

import numpy as np

from transfer_jax.experiment.data.arrays import array_files, read_arrays, read_files
from transfer_jax.experiment.data.digits import digit_domains
from transfer_jax.experiment.data.digits_five import FILES, read_digits_five
from transfer_jax.experiment.data.domains import Part
from transfer_jax.experiment.data.folders import domain_folders, read_folders
from transfer_jax.experiment.data.formats import SUFFIXES
from transfer_jax.experiment.data.tables.fields import Fields, kind_of
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path


def find_parts(section: Any) -> tuple[list[Part], list[dict[str, str]]]:
    """(Parts, files that were skipped as dicts {file, reason}) of a section config.data, see load_domains. Raises UserError."""
    parts, skipped = _find_parts(section)
    for part in parts:
        if not len(part.labels):
            raise UserError(f'domain {part.name!r} is empty; leave it out or give it examples')
    return parts, skipped


def _find_parts(section):
    if section.path is None:
        return _load_embedded(section), []
    if '=' in section.path and not pathlib.Path(section.path).exists():
        return _read_parts(section, _parse_paths(section.path))
    path = _existing(section.path)
    if path.is_file():
        _check_kind(section, False)
        return read_arrays(path, _fields(section), section.task), []
    folders = domain_folders(path)
    if section.format == 'folders' or (section.format == 'auto' and folders):
        return _read_parts(section, folders)
    files, others = array_files(path, _fields(section))
    if digit_files := {stem: file for stem, file in files.items() if stem in FILES and file.suffix == '.mat'}:
        others += [{'file': str(file), 'reason': 'no part of Digits-Five'} for stem, file in files.items() if stem not in digit_files]
        _refuse_regression(section, 'Digits-Five')
        return read_digits_five(digit_files), others
    parts, _ = _read_parts(section, files)
    return parts, others


def _load_embedded(section):
    _refuse_regression(section, 'the embedded digits')
    digits = digit_domains()
    return [Part(name=domain.name, inputs=domain.inputs, labels=np.array(digits.classes)[domain.labels]) for domain in digits.domains]


def _read_parts(section, paths):
    """(parts, skipped) of domains {name: path}, all folders of images or all array files."""
    are_folders = [path.is_dir() for path in paths.values()]
    if not paths:
        raise UserError(f'config.data.path = {section.path!r} holds no folders of images and no array files')
    if any(are_folders) != all(are_folders):
        raise UserError(f'config.data.path = {section.path!r} names files and folders; domains are all folders or all array files')
    _check_kind(section, all(are_folders))
    if not all(are_folders):
        return read_files(paths, _fields(section), section.task), []
    _refuse_regression(section, 'folders of images')
    _check_images(section, paths)
    return read_folders(paths)


def _check_images(section, folders):
    """Raises UserError where folders {name: folder} hold array files in place of images, or a key that images need is None."""
    inside = {name: _first_array(folder) for name, folder in folders.items() if not domain_folders(folder)}
    if len(inside) == len(folders) and all(inside.values()):
        raise UserError('each domain is a folder with an array file in it: name the files, '
                        f'config.data.path={",".join(f"{name}={file}" for name, file in inside.items())}')
    for key in ('image_size', 'channels'):
        if getattr(section, key) is None:
            first = _first_array(local_path(section.path)) if section.format == 'auto' and local_path(section.path).is_dir() else None
            raise UserError(f'config.data.{key} = None; image files need one, as they come in all sizes and colours'
                            + (f" (folders in {section.path} count as images; to read {first.name} and the like: config.data.format=arrays)"
                               if first else ''))


def _first_array(folder):
    """The first array file of a folder, or None; a .txt may be a list of images."""
    return next((path for path in sorted(folder.iterdir()) if path.is_file() and kind_of(path) in set(SUFFIXES) - {'.txt'}), None)


def _check_kind(section, are_folders):
    if section.format == ('arrays' if are_folders else 'folders'):
        what = 'folders of images' if are_folders else 'array files'
        raise UserError(f"config.data.format = {section.format!r}, and config.data.path = {section.path!r} names {what}; set it to 'auto'")


def _refuse_regression(section, what):
    if section.task == 'regression':
        raise UserError(f"config.data.task = 'regression', and {what} have classes; put inputs and values into an array file")


def _fields(section):
    return Fields(features=section.features, labels=section.labels, domain=section.domain, base=section.index_base)


def _parse_paths(spec):
    """{name: path} of 'name=path,name=path'."""
    pairs = [tuple(part.strip() for part in entry.partition('=')) for entry in spec.split(',')]
    if wrong := [''.join(pair) for pair in pairs if not all(pair)]:
        raise UserError(f'config.data.path = {spec!r}: {wrong[0]!r} is not name=path')
    names = [name for name, _, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f'config.data.path = {spec!r} names {twice[0]!r} twice; each is a domain')
    return {name: _existing(path) for name, _, path in pairs}


def _existing(path):
    if not local_path(path).exists():
        raise UserError(f'config.data.path: there is no file or folder {path!r}')
    return local_path(path)
