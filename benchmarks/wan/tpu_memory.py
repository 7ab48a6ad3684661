"""Memory that programs need on a TPU chip, from compiling them ahead of time on a CPU: GiB by program.

    python -m benchmarks.wan.tpu_memory [NAME ...] [--layers 30] [--topology v5e:1x1]

Needs libtpu (`pip install 'jax[tpu]'`) and no TPU. Whole models take minutes each. Results are kept in results/tpu_memory.json, by
program, topology and depth, and the page shows all that are there.
"""
import argparse
import dataclasses
import functools
import importlib.metadata
import json
import os
import time

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from benchmarks.timing import RESULTS, write_page
from benchmarks.wan.tpu_programs import BESIDE
from tqd_jax.config.schema import Train
from tqd_jax.data.batch import Batch
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.partition import partition, selects
from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.frozen import stored
from tqd_jax.models.wan.lora import LoraConfig
from tqd_jax.timesteps.law import make_law
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.state import init_state
from tqd_jax.training.step import train_step
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh, replicated, shard_tree

# libtpu asks for a machine's metadata where the first three are absent, and waits for an answer that does not come; the last lets two
# processes compile at once
ENVIRONMENT = {'TPU_SKIP_MDS_QUERY': '1', 'TPU_ACCELERATOR_TYPE': 'v5p-8', 'TPU_WORKER_HOSTNAMES': 'localhost',
               'ALLOW_MULTIPLE_LIBTPU_LOAD': '1'}
QUICK = {'exec_time_optimization_effort': -1.0}  # a convolution of the VAE compiles in 2 s of CPU in place of 14, and needs as much memory
LATENTS = 21, 60, 104, 16  # of 81 frames of 832 x 480
RECORDS = RESULTS / 'tpu_memory.json'
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Features:
    """A TextEncoder of features that a cache holds, bfloat16 [512, 4096]."""

    def encode(self, params, prepared):
        """The features themselves."""
        return prepared

    def empty(self, params=None):
        """What a dropped caption becomes."""
        return jnp.zeros((512, 4096), jnp.bfloat16)


def train_lora(mesh, layers, *, targets=('attention', 'cross'), storage='bfloat16', **change):
    """The training step of wan_1_3b with LoRA of rank 32, one example a chip: AdamW, moving average, state donated."""
    model = dataclasses.replace(wan.PRESETS['wan_1_3b'], lora=LoraConfig(targets=targets), mesh=mesh, platform='tpu', remat='full',
                                **change)
    model = dataclasses.replace(model, layers=layers or model.layers)
    objective = Objective(model=wan.apply(model), codec=PixelCodec(), text=Features(), path=Path(), seed=0)
    optimizer, _ = make_optimizer(Train())
    trained, frozen = partition(wan.abstract_params(model), selects('lora'))
    state = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), trained)
    frozen = {'model': stored(frozen, storage), 'codec': {}, 'text': {}}
    shardings = shard_tree(state, mesh)
    step = jax.jit(functools.partial(train_step, objective, optimizer, 1, 0.99), donate_argnums=0,
                   out_shardings=(shardings, replicated(mesh)))
    return step.lower(_placed(state, shardings), _placed(frozen, shard_tree(frozen, mesh)), _batch(mesh))


def _placed(tree, shardings):
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree, shardings)


def _batch(mesh):
    leaf = lambda dtype, *shape: jax.ShapeDtypeStruct((mesh.size, *shape), dtype, sharding=batch_sharding(mesh))
    law = jax.tree.map(lambda x: leaf(x.dtype, *x.shape[1:]), make_law(1))
    return Batch(video=leaf(jnp.float32, *LATENTS), text=leaf(jnp.bfloat16, 512, 4096), example=leaf(jnp.uint32), clip=leaf(jnp.int32),
                 weight=leaf(jnp.float32), law=law)


# name -> (what it is, function of a mesh and a depth, None for the whole, -> jax.stages.Lowered)
PROGRAMS = {
    'lora': ('LoRA rank 32 on attention and cross, base bfloat16', train_lora),
    'lora_ffn': ('the same, on ffn too', functools.partial(train_lora, targets=('attention', 'cross', 'ffn'))),
    'lora_int8': ('attention and cross, base int8', functools.partial(train_lora, storage='int8')),
    'lora_float8': ('attention and cross, base float8_e4m3fn', functools.partial(train_lora, storage='float8_e4m3fn')),
    'lora_float32': ('attention and cross, base float32', functools.partial(train_lora, storage='float32')),
    **BESIDE,
}


def chips(name):
    """The mesh over the chips of a topology, such as v5e:1x1 or v5p:2x2x1, on `fsdp`."""
    one = {'chips_per_host_bounds': [1, 1, 1]} if name.endswith(':1x1') else {}
    devices = topologies.get_topology_desc(platform='tpu', topology_name=name, **one).devices
    return make_mesh(1, -1, devices=devices)


def measure(lowered, quick):
    """GiB a chip of a program: arguments, temporaries as they are summed up, results that take no argument's place, and the peak of all
    that lives at once; and seconds of compiling. quick: without the compiler's search for the fastest tiles of each convolution."""
    start = time.perf_counter()
    memory = lowered.compile(QUICK if quick else None).memory_analysis()
    parts = {'arguments': memory.argument_size_in_bytes, 'temporaries': memory.temp_size_in_bytes,
             'results': memory.output_size_in_bytes - memory.alias_size_in_bytes}
    sizes = parts | {'all': sum(parts.values()), 'peak': memory.peak_memory_in_bytes}
    return {name: round(size / GIB, 3) for name, size in sizes.items()} | {'seconds': round(time.perf_counter() - start)}


def keep(key, record):
    """Adds a record to the file of results, and returns all of them."""
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    records[key] = record
    RECORDS.write_text(json.dumps(dict(sorted(records.items())), indent=1) + '\n')
    return records


def page(records):
    """Writes the page of all records."""
    rows = [f'| {PROGRAMS[r["program"]][0]} | {r["topology"]} | {r["layers"] or "all"} | {r["arguments"]:.2f} | {r["temporaries"]:.2f} | '
            f'{r["results"]:.2f} | **{r["all"]:.2f}** | {r["peak"]:.2f} | {r["seconds"]} |' for r in records.values()]
    versions = ', '.join(f'{name} {importlib.metadata.version(name)}' for name in ('jax', 'jaxlib', 'libtpu', 'flax', 'optax'))
    write_page('tpu_memory', 'Memory of programs on a TPU chip', [
        'Compiled ahead of time on a CPU by libtpu for the topology named; nothing ran on a TPU. GiB a chip of the compiler\'s '
        '`memory_analysis()`; a v5e chip has 15.75. Training steps: `wan_1_3b` on latents 21 x 60 x 104 x 16 (81 frames of 832 x 480, '
        '32,760 tokens) and text features 512 x 4096, one example a chip, AdamW, moving average, whole blocks recomputed, splash '
        'attention, state donated. VAE: latent frame by latent frame (chunk 1), compiled without the search for the fastest tiles of '
        f'convolutions. {versions}.', '',
        '| program | topology | layers | arguments | temporaries | results | all | peak | seconds of compiling |',
        '|---|---|---|---|---|---|---|---|---|', *rows])


def main():
    """Compiles the programs named, all by default, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'programs, of {", ".join(PROGRAMS)}; all by default')
    parser.add_argument('--layers', type=int, help='depth, the whole by default')
    parser.add_argument('--topology', default='v5e:1x1')
    args = parser.parse_args()
    os.environ |= ENVIRONMENT
    jax.config.update('jax_platforms', 'cpu')
    for name in args.names or PROGRAMS:
        record = measure(PROGRAMS[name][1](chips(args.topology), args.layers), quick=name.startswith('vae'))
        record |= {'program': name, 'topology': args.topology, 'layers': args.layers}
        page(keep(f'{name}, {args.topology}, {args.layers or "all"} layers', record))


if __name__ == '__main__':
    main()
