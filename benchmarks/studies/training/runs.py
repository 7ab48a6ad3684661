"""Many trainings at once: runs (an arm and a seed each) as one compiled program, over the replicas of a device and over devices.

A run's draws depend on its seed, the step and the place in the batch alone: runs of one seed share initial weights, noise, and the uniforms
of t and of the clip, whatever their arm, so that differences between arms are paired.
"""
import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from tqd_jax.data.batch import Batch, uniform_batch
from tqd_jax.diffusion import sampler
from tqd_jax.diffusion.objective import init_frozen, losses
from tqd_jax.timesteps.law import Law
from tqd_jax.training.state import TrainState, init_state
from tqd_jax.training.step import train_step
from transfer_jax.runtime.keys import stream_key

T_BINS = 20  # of the histogram of t
NOISE_BINS = 10


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Material:
    """What all runs share: frames uint8 [N, F, H, W, 3], tokens int32 [N, L]; of P plans law [P, N, ...] and the
    cumulative shares of draws [P, N]."""
    frames: jax.Array
    tokens: jax.Array
    law: Law
    cumulative: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Runs:
    """plan: int32 [R], which of Material's plans; seed: uint32 [R], of all that is random in a run."""
    plan: jax.Array
    seed: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Carry:
    """Of every run [R, ...]: the state, and how many t lie in each of T_BINS equal bins, int32."""
    state: TrainState
    t_histogram: jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How samples are drawn: captions at a time, steps of the solver, guidance."""
    batch: int
    steps: int
    solver: str
    guidance: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """Compiled functions of arrays with a leading axis of runs R, a multiple of the number of devices.

    init(seed [R]) -> params. start(params) -> Carry. advance(material, carry, runs) -> (carry after `every` steps, mean loss [R]); it
    takes over the memory of its carry. validate(frames [V], tokens [V], places [V], params) -> loss [R, NOISE_BINS], places in
    [0, 1) being those of t in every noise bin. draw(tokens [S, L], params, seed [R]) -> uint8 [R, S, F, H, W, 3].
    """
    init: Any
    start: Any
    advance: Any
    validate: Any
    draw: Any


def trainer(objective, init_params, optimizer, sampling, shape, *, batch, every, ema, devices):
    """The Trainer of an Objective (whose seed is not used): weights by init_params(key), `batch` clips a step, latents of `shape`."""
    start = lambda params: Carry(state=init_state(params, optimizer), t_histogram=jnp.zeros(T_BINS, jnp.int32))
    over = lambda function, shared, donate=(): jax.jit(over_runs(function, shared, devices), donate_argnums=donate)
    return Trainer(init=over(lambda seed: init_params(stream_key(seed, 'init')), 0), start=over(start, 0),
                   advance=over(_advance(objective, optimizer, batch, every, ema), 1, (1,)),
                   validate=over(_validate(objective), 3), draw=over(_draw(objective, sampling, shape), 1))


def over_runs(function, shared, devices):
    """function of one run -> of R runs: the first `shared` arguments are every run's, the others have a leading axis [R].

    Runs are spread over the devices; the replicas of a device are vmapped, a single one is not (a batch axis of 1 costs a CPU time).
    """
    def local(*arguments):
        common, own = arguments[:shared], arguments[shared:]
        if jax.tree.leaves(own)[0].shape[0] > 1:
            return jax.vmap(lambda *own: function(*common, *own))(*own)
        return jax.tree.map(lambda x: x[None], function(*common, *jax.tree.map(lambda x: x[0], own)))

    def spread(*arguments):
        specs = (PartitionSpec(),) * shared + (PartitionSpec('runs'),) * (len(arguments) - shared)
        mesh = Mesh(devices, ('runs',))
        return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec('runs'), check_vma=False)(*arguments)
    return spread


def draw_batch(material, run, step, size):
    """The Batch of a step: clip i is where the uniform u_i of (seed, step, i) falls in the run's cumulative shares."""
    uniforms = jax.random.uniform(stream_key(run.seed, 'clips', step), (size,))
    clip = jnp.searchsorted(material.cumulative[run.plan], uniforms, side='right').astype(jnp.int32)
    law = jax.tree.map(lambda leaf: leaf[run.plan, clip], material.law)
    return Batch(video=material.frames[clip], text=material.tokens[clip], clip=clip, law=law,
                 example=jnp.arange(size, dtype=jnp.uint32), weight=jnp.ones(size))


def _advance(objective, optimizer, batch, every, ema):
    frozen = init_frozen(objective, {})  # without leaves: the codec of pixels and hashed words have no parameters

    def advance(material, carry, run):
        mine = dataclasses.replace(objective, seed=run.seed)

        def step(carry, _):
            examples = draw_batch(material, run, carry.state.step, batch)
            state, metrics = train_step(mine, optimizer, 1, ema, carry.state, frozen, examples)
            bins = jnp.clip((metrics['t'] * T_BINS).astype(jnp.int32), 0, T_BINS - 1)
            counts = carry.t_histogram + (bins[:, None] == jnp.arange(T_BINS)[None]).sum(0, dtype=jnp.int32)
            return Carry(state=state, t_histogram=counts), metrics['loss']
        carry, loss = jax.lax.scan(step, carry, length=every)
        return carry, loss.mean()
    return advance


def _validate(objective):
    """Mean loss over the clips in every noise bin; noise and places of t are those of (clip, bin), the same for all runs."""
    fixed = dataclasses.replace(objective, seed=0)
    frozen = init_frozen(fixed, {})

    def validate(frames, tokens, places, params):
        batch = uniform_batch(frames, tokens)

        def bin_loss(number):
            t = (number.astype(jnp.float32) + places) / NOISE_BINS
            return losses(fixed, params, frozen, batch, t, number, 'evaluation').mean()
        return jax.lax.map(bin_loss, jnp.arange(NOISE_BINS))
    return validate


def _draw(objective, sampling, shape):
    """Clips of captions; the noise of caption i is that of (seed, i), the same for all arms."""
    frozen = init_frozen(objective, {})
    settings = sampler.Sampling(steps=sampling.steps, solver=sampling.solver, guidance=sampling.guidance)

    def draw(tokens, params, seed):
        keys = jax.vmap(lambda number: stream_key(seed, 'sample', number))(jnp.arange(len(tokens)))
        parts = lambda x: x.reshape(-1, sampling.batch, *x.shape[1:])
        frames = jax.lax.map(lambda part: sampler.sample(objective, params, frozen, part[0], part[1], shape, settings),
                             (parts(keys), parts(tokens)))
        return frames.reshape(len(tokens), *frames.shape[2:])
    return draw
