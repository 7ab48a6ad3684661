"""The training step at the width and tokens of Wan 1.3B, two blocks deep, lowered for absent TPUs; and what a program sends."""
import collections
import dataclasses
import functools
import math
import os
import re

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from tqd_jax.config.schema import Train
from tqd_jax.data.batch import Batch
from tqd_jax.diffusion.objective import Objective
from tqd_jax.diffusion.path import Path
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.partition import partition, selects
from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.frozen import stored
from tqd_jax.text.features import Features
from tqd_jax.timesteps.law import make_law
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.run import placed
from tqd_jax.training.state import init_state, shardings_of
from tqd_jax.training.step import train_step
from transfer_jax.runtime.parallel.mesh import batch_sharding, make_mesh, replicated, row_parts

# without the first three libtpu asks for a machine's metadata and waits; with the last two processes may compile at once
ENVIRONMENT = {'TPU_SKIP_MDS_QUERY': '1', 'TPU_ACCELERATOR_TYPE': 'v5p-8', 'TPU_WORKER_HOSTNAMES': 'localhost',
               'ALLOW_MULTIPLE_LIBTPU_LOAD': '1'}
LATENTS = 21, 60, 104, 16  # of 81 frames of 832 x 480
TOKENS = 32760
MODEL = dataclasses.replace(wan.PRESETS['wan_1_3b'], layers=2)
KINDS = 'all-gather', 'all-reduce', 'reduce-scatter', 'all-to-all', 'collective-permute'


def tpu_mesh(name, data=1, fsdp=1, context=1, slices=1):
    """The mesh over the chips of a topology such as v5p:2x2x1."""
    os.environ |= ENVIRONMENT
    one = {'chips_per_host_bounds': [1, 1, 1]} if name.endswith(':1x1') else {}
    more = {'num_slices': slices} if slices > 1 else {}
    devices = topologies.get_topology_desc(platform='tpu', topology_name=name, **one, **more).devices
    return make_mesh(data, fsdp, context, devices)


def lowered(mesh, trains='full', latents=LATENTS, rows=1, **changes):
    """The step on `rows` clips a part of the batch; frozen kernels are bfloat16."""
    model = dataclasses.replace(MODEL, **{'remat': 'full', 'mesh': mesh} | changes)
    objective = Objective(model=wan.apply(model), codec=PixelCodec(), text=Features(length=512, width=4096, dtype='bfloat16'), path=Path(),
                          seed=0)
    optimizer, _ = make_optimizer(Train())
    trained, frozen = partition(wan.abstract_params(model), selects(trains))
    state = placed(jax.eval_shape(functools.partial(init_state, optimizer=optimizer), trained), mesh)
    empty = {'empty': jax.ShapeDtypeStruct((512, 4096), jnp.bfloat16)}
    frozen = placed({'model': stored(frozen, 'bfloat16'), 'codec': {}, 'text': empty}, mesh)
    step = jax.jit(functools.partial(train_step, objective, optimizer, 1, 0.99), donate_argnums=0,
                   out_shardings=(shardings_of(state), replicated(mesh)))
    return step.lower(state, frozen, batch_of(mesh, latents, rows * row_parts(mesh)))


def batch_of(mesh, latents, size):
    """An abstract Batch of latents and features."""
    leaf = lambda dtype, *shape: jax.ShapeDtypeStruct((size, *shape), dtype, sharding=batch_sharding(mesh))
    law = jax.tree.map(lambda x: leaf(x.dtype, *x.shape[1:]), make_law(1))
    return Batch(video=leaf(jnp.float32, *latents), text=leaf(jnp.bfloat16, 512, 4096), example=leaf(jnp.uint32), clip=leaf(jnp.int32),
                 weight=leaf(jnp.float32), law=law)


def collectives(text):
    """Of a compiled program: {kind: [(dtype, number of elements)]}, one entry for every array that a collective has as a result."""
    found = collections.defaultdict(list)
    for line in text.splitlines():
        match = re.search(rf' = (.*?) ({"|".join(KINDS)})(-start)?\(', line)
        if match:
            for dtype, shape in re.findall(r'\b(\w+)\[([\d,]*)\]', match[1]):
                found[match[2]].append((dtype, math.prod(int(size) for size in shape.split(',') if size)))
    return dict(found)
