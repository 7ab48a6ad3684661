"""NIQE models as files: load, save, and a program that fits one to pictures or videos of the user, or to rendered pictures.

    python -m tqd_jax.scoring.visual.niqe_model --frames=FOLDER_OR_FILES --output=FILE.npz
    python -m tqd_jax.scoring.visual.niqe_model --output=tqd_jax/assets/niqe.npz   the shipped one: 200 dead leaves pictures, under a minute
"""
import argparse
import contextlib
import io
import json
import pathlib
import sys
import zipfile

import cv2
import numpy as np

from tqd_jax.clips.places import ENDINGS, BadClip
from tqd_jax.clips.read import read_clip
from tqd_jax.scoring.visual.dead_leaves import dead_leaves
from tqd_jax.scoring.visual.niqe import PATCH, SIDE, NiqeModel, fit
from transfer_jax.runtime.errors import UserError, errors_in_one_line
from transfer_jax.runtime.files import write_atomically

SHIPPED = pathlib.Path(__file__).parents[2] / 'assets' / 'niqe.npz'
PICTURES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')
COUNT = 200


def load(path=SHIPPED):
    """The NiqeModel of a file that `save` wrote; without a path the shipped one. Raises UserError where it is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return NiqeModel(mean=file['mean'], covariance=file['covariance'], patch=int(file['patch']))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f'{path} holds no NIQE model ({error}); python -m tqd_jax.scoring.visual.niqe_model writes one') from None


def save(path, model):
    """Writes mean [36], covariance [36, 36] and patch as an .npz file, all or nothing; the same model gives the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, mean=model.mean, covariance=model.covariance, patch=model.patch)
    write_atomically(pathlib.Path(path), buffer.getvalue())


def rendered(count=COUNT, seed=0):
    """`count` dead leaves pictures as lumas float32 [H, W], one at a time."""
    return (_luma(dead_leaves(seed, index)) for index in range(count))


def named(paths):
    """Lumas float32 [H, W] of every picture, and of one frame a second of every video, under the paths (files or folders), sorted.

    What cannot be decoded is left out. Raises UserError where a path is missing or nothing is left to name.
    """
    return (_luma(frame) for path in _files(paths) for frame in _frames(path))


def main(argv):
    """Fits a model and writes it, with a .json beside that says to what."""
    options = _options(argv)
    lumas = named(options.frames.split(',')) if options.frames else rendered(options.count, options.seed)
    try:
        model = fit(lumas, options.patch)
    except ValueError as error:
        raise UserError(str(error)) from None
    save(options.output, model)
    source = {'frames': options.frames} if options.frames else {'dead_leaves': options.count, 'seed': options.seed}
    record = json.dumps({'module': 'tqd_jax.scoring.visual.niqe_model', 'patch': options.patch, **source}, indent=1)
    write_atomically(pathlib.Path(options.output).with_suffix('.json'), (record + '\n').encode())


def _options(argv):
    parser = argparse.ArgumentParser(prog='python -m tqd_jax.scoring.visual.niqe_model',
                                     description='Fits a NIQE model to pristine pictures.')
    parser.add_argument('--frames', help='pictures, videos or folders of them, separated by commas; without it, rendered pictures')
    parser.add_argument('--output', required=True, help='the .npz file to write')
    parser.add_argument('--patch', type=int, default=PATCH, help='side of a patch in pixels, even')
    parser.add_argument('--count', type=int, default=COUNT, help='how many pictures to render')
    parser.add_argument('--seed', type=int, default=0, help='of the rendered pictures')
    options = parser.parse_args(argv)
    if pathlib.Path(options.output).suffix != '.npz':
        parser.error(f'--output={options.output} must end with .npz')
    if options.patch < 8 or options.patch % 2:
        parser.error(f'--patch={options.patch} must be even and at least 8')
    return options


def _files(paths):
    files = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise UserError(f'--frames: there is no {path}')
        files += sorted(path.rglob('*')) if path.is_dir() else [path]
    files = [file for file in files if file.suffix.lower() in PICTURES + ENDINGS]
    if not files:
        raise UserError(f'--frames: no pictures or videos ({", ".join(PICTURES + ENDINGS)}) in {", ".join(map(str, paths))}')
    return files


def _frames(path):
    """RGB frames of one file; a video's are shrunk as NIQE would do it later, so that a long one fits the memory."""
    if path.suffix.lower() in ENDINGS:
        with contextlib.suppress(BadClip):
            yield from read_clip(path, rate=1.0, short_side=SIDE).frames
    elif (picture := cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)) is not None:
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _luma(frame):
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


if __name__ == '__main__':
    with errors_in_one_line(OSError):
        main(sys.argv[1:])
