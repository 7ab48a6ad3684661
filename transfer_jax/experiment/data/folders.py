"""Folders of images in their usual layouts -> the Parts of a run: paths of files, and their classes.

    ROOT/DOMAIN/CLASS/FILE                     Office-Home, PACS, VisDA
    ROOT/DOMAIN/images/CLASS/FILE              Office-31; also train/, test/ and val/ in place of images/
    ROOT/DOMAIN_train.txt, DOMAIN_test.txt     DomainNet: lines 'DOMAIN/CLASS/FILE LABEL' name all files
    ROOT/DOMAIN/train_images/FILE              Digits-Five: ROOT/DOMAIN/train_labels.txt has lines
                                               'FILE LABEL'; and the same with test

Training and test files of a publication are joined: a run makes splits of its own.
"""
import pathlib
from collections.abc import Mapping

import numpy as np

from transfer_jax.experiment.data.domains import Part
from transfer_jax.runtime.errors import UserError

INNER_FOLDERS = {'images', 'train', 'test', 'val', 'valid', 'validation'}  # folders that may stand between a domain and its classes
LISTS = ('train', 'test', 'val', 'crossval')
NO_IMAGES = {'.txt', '.db', '.ini', '.md', '.csv', '.json'}


def domain_folders(root: str | pathlib.Path) -> dict[str, pathlib.Path]:
    """{name: folder} of the domains in a folder."""
    return {folder.name: folder for folder in _subfolders(root)}


def read_folders(folders: Mapping[str, pathlib.Path]) -> tuple[list[Part], list[dict[str, str]]]:
    """(Parts with paths, skipped) of the domains {name: folder}. Raises UserError where one has no images, or a list is not as above."""
    parts, skipped = [], []
    for name, folder in folders.items():
        files = _from_lists(folder) or _from_labels(folder)
        if not files:
            files, loose = _from_classes(folder)
            skipped += [{'file': str(path), 'reason': 'in the folder of no class'} for path in loose]
        if not files:
            raise UserError(f'domain {name!r}: {folder} holds no folders of classes with images in them; wanted are {folder}/CLASS/FILE, '
                            'or name the domains: config.data.path=NAME=FOLDER,NAME=FOLDER')
        parts.append(Part(name=name, paths=tuple(files), labels=np.array(list(files.values()))))
    return parts, skipped


def _from_classes(folder):
    """({path: class}, the images that lie beside the classes)."""
    inner = _subfolders(folder)
    has_inner = inner and all(part.name.lower() in INNER_FOLDERS and _subfolders(part) for part in inner)
    roots = inner if has_inner else [folder]
    files = {path: kind.name for root in roots for kind in _subfolders(root) for path in _images(kind.rglob('*'))}
    return files, [path for root in {folder, *roots} for path in _images(root.iterdir())]


def _from_lists(folder):
    """{path: class} of the lists beside a domain's folder: the class is the file's folder, and goes with one label only."""
    lists = [path for path in sorted(folder.parent.glob('*.txt')) if path.stem.startswith(f'{folder.name}_')
             and path.stem.removeprefix(f'{folder.name}_').startswith(LISTS)]
    files, labels = {}, {}
    for where, name, label in _lines(lists):
        path = folder.parent / name
        if folder not in path.parent.parents:
            raise UserError(f'{where}: {name!r} is not {folder.name}/CLASS/FILE; correct the list or take it away')
        kind = path.parent.name
        if labels.setdefault(label, kind) != kind:
            raise UserError(f'{where}: label {label} is the class {labels[label]!r} and the class {kind!r}; '
                            'correct the list or take it away')
        files[path] = kind
    return files


def _from_labels(folder):
    """{path: class} of train_images/ with train_labels.txt, and the same with test."""
    lists = [path for path in sorted(folder.glob('*_labels.txt')) if _images_of(path).is_dir()]
    return {_images_of(pathlib.Path(where.rpartition(':')[0])) / name: label for where, name, label in _lines(lists)}


def _images_of(path):
    return path.with_name(path.stem.removesuffix('_labels') + '_images')


def _lines(lists):
    """('LIST:LINE', name, label) of every line that is not blank."""
    for path in lists:
        for number, line in enumerate(path.read_text(encoding='utf-8', errors='replace').splitlines(), 1):
            name, _, label = line.strip().rpartition(' ')
            if line.strip() and not name:
                raise UserError(f"{path}:{number}: {line!r} is not 'FILE LABEL'; correct the list or take it away")
            if name:
                yield f'{path}:{number}', name.strip(), label


def _subfolders(folder):
    return sorted(path for path in pathlib.Path(folder).iterdir() if path.is_dir() and not path.name.startswith(('.', '__')))


def _images(paths):
    """All files but hidden ones and those that are clearly no images."""
    return sorted(path for path in paths if not path.name.startswith('.') and path.suffix.lower() not in NO_IMAGES and path.is_file())
