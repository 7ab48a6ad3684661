"""Jobs on a tiny Wan in this process, on one device; clips for them; and what they leave, as arrays and bytes."""

import numpy as np
import once
import pyarrow as pa
import pyarrow.parquet
import small
import wan_small
from alone import one_device

from tqd_jax import encode, main
from tqd_jax.cache.reader import Reader
from tqd_jax.training import loop
from tqd_jax.training.run import build, check_start
from tqd_jax.training.workdir import prepare_run
from transfer_jax.runtime.paths import path_of
from transfer_jax.runtime.saves.checkpoint import Checkpoints
from transfer_jax.runtime.tensors import named_leaves

CAPTIONS = ('a red disc', 'two dogs', 'one')


def clips(folder, count=12, captions=CAPTIONS, name='manifest.parquet', **options):
    """The manifest of moving clips with captions in turn; half of them are golden, the others poor."""
    names = [f'{number:02d}.mp4' for number in range(count)]
    small.moving(folder, names, **options)
    quality = [0.9 if number < count / 2 else 0.3 for number in range(count)]
    rows = [{'clip': clip, 'caption': captions[i % len(captions)], 'mq': quality[i], 'vq': quality[i]} for i, clip in enumerate(names)]
    pa.parquet.write_table(pa.Table.from_pylist(rows), folder / name)
    return folder / name


@one_device()
def encoded(cache, **changes):
    """The folder that the encode job made."""
    encode.main(wan_small.config(**changes), cache)
    return cache


@one_device()
def run(workdir, mode='train', **changes):
    """The main job, without the pages' figures; faults are raised."""
    with once.programs_once(), once.without_figures():
        main.main(wan_small.config(**changes), workdir, mode)
    return workdir


@one_device()
def trained(workdir, **changes):
    """(Run, state, frozen) after the training alone: without samples at the end, weights and report."""
    config = wan_small.config(**changes)
    workdir.mkdir(parents=True, exist_ok=True)
    run = prepare_run(config, workdir, check_start(config, workdir, fresh=True))
    with once.programs_once():
        state, frozen, stopped = loop.train(run)
    assert not stopped
    return run, state, frozen


@one_device()
def built(workdir, **changes):
    """The Run of a prepared work directory."""
    return build(wan_small.config(**changes), workdir)


def saved(workdir, **changes):
    """(step, {name: array}) of the newest checkpoint: parameters, optimizer state, average."""
    checkpoints = Checkpoints(path_of(workdir) / 'checkpoints')
    step = checkpoints.latest()
    return step, arrays(checkpoints.restore(step, built(workdir, **changes).abstract_state))


def arrays(tree):
    """{name: array} of a tree."""
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


def different(one, other):
    """Names of arrays that are not the same bits."""
    assert one.keys() == other.keys()
    return [name for name in one if one[name].tobytes() != other[name].tobytes()]


def records(cache):
    """{kind: {key: bytes}} of every record of a cache."""
    readers = {kind: Reader.open(path_of(cache) / kind) for kind in ('latents', 'text')}
    for reader in readers.values():
        reader.fetch(np.arange(len(reader)))
    return {kind: {bytes(reader.keys[i]): reader[i].tobytes() for i in range(len(reader))} for kind, reader in readers.items()}


def losses(workdir):
    """[mean loss] of every evaluation."""
    return [float(np.nanmean(np.array(line['loss'], float))) for line in small.lines(workdir / 'evaluation.jsonl')]
