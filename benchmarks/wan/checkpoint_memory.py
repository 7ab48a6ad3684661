"""Host memory that a sharded checkpoint of Wan takes on loading, beyond what the devices hold, as a multiple of one of its shards.

    python -m benchmarks.wan.checkpoint_memory
"""
import argparse
import dataclasses
import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from benchmarks.memory import peak
from benchmarks.timing import write_page
from tqd_jax.models.io.containers.write_file import Output
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.layout import entries
from tqd_jax.models.io.names import to_diffusers
from tqd_jax.models.io.wan import load_params, read_config
from tqd_jax.models.io.write import pack, write_shards
from tqd_jax.models.wan.config import PRESETS
from tqd_jax.models.wan.model import abstract_params
from transfer_jax.runtime.parallel.mesh import make_mesh, shard_tree

SHARDS, DEVICES = 6, 8  # the published 14B has six shards
KIB = 1.024  # the system counts kilobytes of 1024, what devices hold is in bytes


def make_checkpoint(folder, layers):
    """Shards of a 14B transformer with fewer layers, bfloat16, as many as the published one has."""
    config = dataclasses.replace(PRESETS['wan_14b'], layers=layers)
    values = np.random.default_rng(0).normal(size=2**20).astype(ml_dtypes.bfloat16)
    names = {}
    for entry in entries(config).values():
        names |= dict.fromkeys(entry.names(config), entry.shape)
    tensors = [Output(name=to_diffusers(name), shape=shape, dtype=values.dtype, read=lambda shape=shape: np.resize(values, shape))
               for name, shape in names.items()]
    write_shards(folder, pack(tensors, math.ceil(sum(tensor.bytes for tensor in tensors) / SHARDS) + 2**28))


def load(folder):
    """Loads in this process; prints the peak of memory before and after, what the devices hold, and the largest share of a leaf, in MB."""
    jax.config.update('jax_num_cpu_devices', DEVICES)
    mesh, tensors = make_mesh(data=1, fsdp=DEVICES), open_tensors(folder)
    config = read_config(tensors)
    abstract = abstract_params(config)
    abstract = jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16, sharding=sharding),
                            abstract, shard_tree(abstract, mesh))
    before, start = KIB * peak(), time.perf_counter()
    params = jax.block_until_ready(load_params(tensors, config, abstract))
    seconds = time.perf_counter() - start
    shares = [share.data for leaf in jax.tree.leaves(params) for share in leaf.addressable_shards]
    sizes = {share.unsafe_buffer_pointer(): share.nbytes for share in shares}  # CPU devices may share a buffer
    held, share = sum(sizes.values()) / 1e6, max(sizes.values()) / 1e6
    print(json.dumps({'before': before, 'peak': KIB * peak(), 'held': held, 'share': share, 'seconds': seconds}))


def measure(folder, layers):
    """What load prints, run in a process of its own, and the number and mean size in MB of the shards."""
    make_checkpoint(folder, layers)
    command = [sys.executable, '-m', 'benchmarks.wan.checkpoint_memory', '--load', str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sizes = [path.stat().st_size / 1e6 for path in folder.glob('*.safetensors')]
    return json.loads(done.stdout.splitlines()[-1]) | {'shards': len(sizes), 'shard': sum(sizes) / len(sizes)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--layers', type=int, default=12, help='blocks of the checkpoint; 40 is the published number')
    parser.add_argument('--load', type=pathlib.Path, help='the folder to load in this process')
    args = parser.parse_args()
    if args.load:
        load(args.load)
        return
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        found = measure(folder, args.layers)
    finally:
        shutil.rmtree(folder)
    write_page('checkpoint_memory', 'Host memory on loading a sharded checkpoint', page(found, args.layers))


def page(found, layers):
    """The lines of the result."""
    beyond = found['peak'] - found['held']
    rows = {'peak of the process': found['peak'], 'held by the devices': found['held'], 'peak beyond what the devices hold': beyond,
            'of it, Python and JAX before loading': found['before'], 'largest share of a leaf on a device': found['share']}
    met = beyond <= 1.3 * found['shard']
    return [
        f'A transformer of the width of Wan 14B (5120, feed-forward 13824) with {layers} of its 40 blocks, random, bfloat16, in',
        f'{found["shards"]} shards of {found["shard"]:.0f} MB on average; the published one has {SHARDS} of about 4760 MB. It is loaded as',
        f'frozen bfloat16 parameters over {DEVICES} virtual CPU devices, whose memory is the host\'s too. The number of blocks is scaled',
        'to the memory of the machine; the share of a leaf on one device, the largest that is in memory twice, scales with it as shards',
        'do. Peaks are of resident memory (VmHWM) in a process of its own, with whatever pages of files are mapped.', '',
        '| | MB | of one shard |', '|---|---|---|',
        *(f'| {what} | {value:.0f} | {value / found["shard"]:.2f} |' for what, value in rows.items()), '',
        f'Aim: at most 1.3 of one shard beyond what the devices hold: {"met" if met else "missed"}.',
        f'Loading took {found["seconds"]:.0f} s.']


if __name__ == '__main__':
    main()
