"""Writes the weights of a run in the layouts that other tools read.

    python -m tqd_jax.export runs/lora --format=comfyui --output=lora.safetensors
    python -m tqd_jax.export runs/full --format=diffusers --output=FOLDER

Of a run that trains adapters (LoRA), `diffusers`, `comfyui` and `kohya` are LoRA files; with --merge, and in `original`, the adapters are
added to the weights that the run started from. A whole transformer is diffusers' folder, or one file in the original names, for ComfyUI
with its prefix. The weights are the moving average of the newest checkpoint. Only the transformer's files are needed.
"""
import dataclasses
import json
import pathlib
import sys

import jax
from absl import app, flags, logging

from tqd_jax.config import Config
from tqd_jax.foundations.identity import find_identical
from tqd_jax.foundations.sources import executed, whole_model
from tqd_jax.models.assets import located
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.lora_write import write_lora
from tqd_jax.models.io.places import config_beside
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.io.write import save_diffusers, save_original
from tqd_jax.models.partition import merge, partition, selects
from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.lora import merge_lora
from tqd_jax.training.run import placed
from transfer_jax.runtime.config import instance
from transfer_jax.runtime.errors import UserError, errors_in_one_line
from transfer_jax.runtime.folder.home import at_home
from transfer_jax.runtime.job import unwritable
from transfer_jax.runtime.parallel.mesh import make_mesh
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.saves.checkpoint import Checkpoints

FORMATS = ('comfyui', 'diffusers', 'kohya', 'original')
DTYPES = ('bfloat16', 'float16', 'float32')
PREFIX = {'comfyui': 'model.diffusion_model.', 'original': ''}
SHARD_BYTES = 5 * 10**9
NAMES = ('format', 'output', 'merge', 'dtype', 'wan')  # of the flags


def main(argv):
    """Exports the run that the command line names; a user's error is one line on stderr and code 2."""
    logging.set_verbosity(logging.WARNING)  # JAX reports at length which accelerators are not there
    with errors_in_one_line():
        print(export(run_of(argv), **{name: flags.FLAGS[name].value for name in NAMES}))


def export(run, *, format, output, merge=False, dtype=None, wan=None):
    """Writes the newest average of the run in a folder, and returns a line about it.

    output: a .safetensors file, or a folder for 'diffusers'. dtype: None: float32 of adapters, bfloat16 of a transformer. wan: where the
    weights lie now that the run started from. Raises UserError where there is no checkpoint, the run is one on pixels or started from
    other weights, the format or merge does not go with what was trained, or the output cannot be written.
    """
    if output is None:
        raise UserError('--output is missing: the file or folder to write')
    config = stored_config(run, wan)
    check_format(run, config.train.trained, format, merge)
    step, extras, checkpoints = newest(run)
    mesh = make_mesh(1, -1)  # each device holds a part
    tensors, model = transformer_of(run, config, extras.get('weights'), mesh)
    average = checkpoints.restore_part(step, 'average', abstract_average(config, model, mesh))
    output, of = path_of(output), f'step {step}' + ('' if config.wan.expert is None else f', expert {config.wan.expert}')
    with unwritable(output):
        if config.train.trained == 'lora' and not merge and format != 'original':
            path = write_lora(output, average, rank=model.lora.rank, alpha=model.lora.alpha, config=model, kind=format,
                              dtype=dtype or 'float32')
            return f'LoRA of {of}: {path}'
        model, params = whole(tensors, model, average, mesh)
        if format == 'diffusers':
            save_diffusers(output, model, params, max_shard_bytes=SHARD_BYTES, dtype=dtype or 'bfloat16')
        else:
            save_original(output, model, params, dtype=dtype or 'bfloat16', prefix=PREFIX[format])
    return f'transformer of {of}: {output}'


def stored_config(run, weights):
    """The Config of a run's folder, its published weights at `weights` where that is not None. Raises UserError."""
    path = path_of(run) / 'config.json'
    if not path.exists():
        raise UserError(f'{run} is no folder of a run: it has no config.json')
    config = instance(Config, json.loads(path.read_text()))
    if config.wan.path is None:
        raise UserError(f'{run} trained a model of pixels, which no other tool knows; its weights are weights.npz')
    return dataclasses.replace(config, wan=dataclasses.replace(config.wan, path=at_home(weights or config.wan.path)))


def check_format(run, trained, format, merge):
    """Raises UserError where what config.train.trained names has no such format, or has no adapters to merge."""
    if merge and trained != 'lora':
        raise UserError(f'--merge is for a run with adapters, and {run} has config.train.trained = {trained!r}: leave it out')
    if format == 'kohya' and (merge or trained != 'lora'):
        raise UserError('--format=kohya is a layout of LoRA files, not of a whole transformer: take comfyui, diffusers or original')


def newest(run):
    """(step, extras, Checkpoints) of a run's newest checkpoint. Raises UserError where there is none."""
    checkpoints = Checkpoints(path_of(run) / 'checkpoints')
    step = checkpoints.latest()
    if step is None:
        raise UserError(f'{run} has no checkpoint yet: train first')
    return step, checkpoints.extras(step), checkpoints


def transformer_of(run, config, identity, mesh):
    """(tensors, WanConfig as the run executes it) of the transformer in config.wan.path that has the identity; other parts may be absent.

    Raises UserError where it is not there.
    """
    path = pathlib.Path(located(config.wan.path))
    if not path.exists():
        raise UserError(f'{path}, whose weights {run} started from, is not there: say by --wan where they lie now')
    place = find_identical(path, identity)
    if place is None:
        raise UserError(f'{run} started from other weights than those of {path}: say by --wan where they lie now')
    return open_tensors(place), executed(config, whole_model(place, config_beside(place)), mesh)


def abstract_average(config, model, mesh):
    """The moving average of what was trained, as shapes with shardings."""
    return placed(partition(wan.abstract_params(model), selects(config.train.trained))[0], mesh)


def whole(tensors, model, average, mesh):
    """(WanConfig, all parameters): what was trained, and the rest as published; adapters are added to their kernels."""
    plain = dataclasses.replace(model, lora=None)
    _, rest = partition(wan.abstract_params(plain), lambda path: path in paths_of(average))
    base = load_params(tensors, plain, placed(rest, mesh))
    params = merge(average, base)
    return (plain, params) if model.lora is None else merge_lora(model, params)


def paths_of(tree):
    """The paths of a tree's leaves, tuples of keys."""
    return {tuple(entry.key for entry in path) for path, _ in jax.tree.leaves_with_path(tree)}


def run_of(argv):
    """The folder of the run. Raises UserError where the command line does not name one."""
    if len(argv) != 2:
        raise UserError('name one folder of a run: python -m tqd_jax.export RUN --format=FORMAT --output=PATH')
    return argv[1]


def define_flags():
    """Defines the flags that no other program of this process has."""
    if 'output' not in flags.FLAGS:
        flags.DEFINE_string('output', None, 'the file or folder to write')
    if 'format' not in flags.FLAGS:
        flags.DEFINE_enum('format', 'comfyui', FORMATS, 'the names of the tensors')
        flags.DEFINE_bool('merge', False, 'of a run with adapters: add them to the weights that it started from, and write all of these')
        flags.DEFINE_enum('dtype', None, DTYPES, 'of the tensors; None: float32 of adapters, bfloat16 of a transformer')
        flags.DEFINE_string('wan', None, 'where the weights lie now that the run started from; None: where config.wan.path says')


def parse(argv):
    """Defines and reads the flags; an unknown flag or a bad value is one line on stderr and code 2."""
    define_flags()
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        print(f'error: {" ".join(str(error).split())} (--help lists the flags)', file=sys.stderr)
        sys.exit(2)


if __name__ == '__main__':
    app.run(main, flags_parser=parse)
