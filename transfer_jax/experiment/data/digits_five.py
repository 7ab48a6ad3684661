"""Digits-Five (M3SDA, arXiv:1812.01754): its .mat files in one folder, each with field names and shapes of its own."""
import pathlib
from collections.abc import Mapping

import numpy as np
import scipy.io

from transfer_jax.experiment.data.domains import Part
from transfer_jax.experiment.data.formats import guard_read
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

SPLITS = ('train', 'test')  # both are read: a run makes splits of its own


def _mnist(file):
    return [(file[f'{split}_28'].reshape(-1, 28, 28, 1), file[f'label_{split}'].argmax(1)) for split in SPLITS]


def _mnistm(file):
    return [(file[split], file[f'label_{split}'].argmax(1)) for split in SPLITS]


def _svhn(file):
    return [(np.moveaxis(file['X'], 3, 0), file['y'])]  # 10 is the digit 0


def _syn(file):
    return [(file[f'{split}_data'], file[f'{split}_label']) for split in SPLITS]


def _usps(file):
    return [(np.rint(np.moveaxis(images, 1, 3) * 255), digits) for images, digits in file['dataset']]


FILES = {'mnist_data': ('mnist', _mnist), 'mnistm_with_label': ('mnistm', _mnistm), 'svhn_train_32x32': ('svhn', _svhn),
         'svhn_test_32x32': ('svhn', _svhn), 'syn_number': ('syn', _syn), 'usps_28x28': ('usps', _usps)}


def read_digits_five(paths: Mapping[str, pathlib.Path]) -> list[Part]:
    """The Parts of the files {stem: path}, all of FILES; images uint8, of 28 or 32 pixels, grey or in colour as in the file.

    Raises UserError where a file is not as its name says.
    """
    pairs = {}
    for stem, (name, read) in FILES.items():
        if path := paths.get(stem):
            pairs.setdefault(name, []).extend(guard_read(path, lambda path=path, read=read: read(scipy.io.loadmat(path))))
    parts = []
    for name, read in pairs.items():
        images = np.concatenate([x.astype(np.uint8) for x, _ in read])
        digits = np.concatenate([y.ravel().astype(np.int64) % 10 for _, y in read])
        if images.ndim != 4 or len(images) != len(digits):
            raise UserError(f'{name} of Digits-Five: images {list(images.shape)} for {counted(len(digits), "label")}; restore the '
                            '.mat files')
        parts.append(Part(name=name, inputs=images, labels=digits.astype(str)))
    return parts
