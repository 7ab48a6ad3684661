"""The cost of per-example timestep laws: the whole step with them against the same step with uniform t, interleaved.

    python -m benchmarks.law_cost [--batch 16] [--rounds 40]
"""
import argparse
import dataclasses
import functools
from unittest import mock

import jax
import numpy as np

from benchmarks.timing import interleaved, ratio_of_medians, write_page
from configs.pixels import get_config
from tqd_jax.config import Config
from tqd_jax.data.batch import uniform_batch
from tqd_jax.diffusion.objective import init_frozen
from tqd_jax.foundations.pixels import pixels
from tqd_jax.models.wan import model as wan
from tqd_jax.timesteps.quality import LawConfig, law_from_quality
from tqd_jax.training import step
from tqd_jax.training.optimizer import make_optimizer
from tqd_jax.training.run import make_objective
from tqd_jax.training.state import init_state
from transfer_jax.runtime.config import instance
from transfer_jax.runtime.keys import example_keys
from transfer_jax.runtime.parallel.mesh import make_mesh


def uniform_timesteps(objective, batch, number):
    """t [B] uniform, with no law at all."""
    return jax.vmap(jax.random.uniform)(example_keys(objective.seed, 't', number, batch.example))


def compiled_step(config, size, draw):
    """A function that runs one whole training step of the shipped config and blocks, its timesteps drawn by `draw`."""
    foundation, (optimizer, _) = pixels(config, make_mesh()), make_optimizer(config.train)
    model, objective, batch = foundation.model, make_objective(config, foundation), make_batch(foundation.model, size)
    state, frozen = init_state(wan.init_params(model, jax.random.key(0)), optimizer), init_frozen(objective, {})
    with mock.patch.object(step, 'draw_timesteps', draw):
        program = jax.jit(functools.partial(step.train_step, objective, optimizer, 1, 0.99)).lower(state, frozen, batch).compile()
    return lambda: jax.block_until_ready(program(state, frozen, batch))


def make_batch(model, size):
    """Random frames with the laws of random clips."""
    rng = np.random.default_rng(0)
    batch = uniform_batch(rng.integers(0, 256, (size, 8, 32, 32, 3), dtype=np.uint8), np.zeros((size, model.text_len), np.int32))
    return dataclasses.replace(batch, law=law_from_quality(rng.random(size), rng.random(size), LawConfig()))


def main():
    """Times both and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--batch', type=int, default=16)
    parser.add_argument('--rounds', type=int, default=40)
    args = parser.parse_args()
    config = instance(Config, get_config())
    seconds = interleaved({'laws': compiled_step(config, args.batch, step.draw_timesteps),
                           'uniform': compiled_step(config, args.batch, uniform_timesteps)}, args.rounds)
    ratio, low, high = ratio_of_medians(seconds, 'laws', 'uniform')
    rows = [f'| {name} | {1e3 * np.median(times):.1f} | {1e3 * np.min(times):.1f} |' for name, times in seconds.items()]
    write_page('law_cost', 'The cost of per-example timestep laws', [
        f'One training step of `configs/pixels.py` (`{config.model.preset}`, batch {args.batch}), {args.rounds} interleaved rounds.', '',
        '| timesteps | median ms | minimum ms |', '|---|---|---|', *rows, '',
        f'Ratio of medians, laws over uniform: **{ratio:.3f}** (10th to 90th percentile of rounds: {low:.3f} to {high:.3f}; aim 1.02).'])


if __name__ == '__main__':
    main()
