"""Trainer: many fits side by side as one compiled program, of which policy (quantities and weights) and frozen are arguments."""
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import grain.python as grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.models.model import Model
from transfer_jax.experiment.training import prepare, step
from transfer_jax.experiment.training.draws import Pool, Replicas, draw
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.runtime.keys import stream_key
from transfer_jax.runtime.parallel.mesh import batch_sharding, check_batch

READ_AHEAD = 8  # batches that are gathered ahead where inputs stay on the host


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How every fit is trained.

    batch: rows of a step; sampling: how domains are drawn (policy.SAMPLING); learning_rate: at step 0; prior: the pull to
    the start, in samples (step.train_step); segment: steps of one call; augment: prepare.AUGMENT; replicas: fits in one vmap; a larger
    number of fits is trained in groups of this size, one group after the other.
    """
    batch: int
    sampling: str
    learning_rate: float
    prior: float
    segment: int
    augment: str
    replicas: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trainer:
    """The model and the pool of all domains on the mesh's devices, and the programs that train and evaluate on them.

    A pool without inputs: they are too large for the devices, and rows are gathered from `domains` on the host, ahead of use.
    """
    model: Model
    frozen: Any
    pool: Pool
    domains: Domains
    settings: Settings
    mesh: Mesh
    compiled_shapes: set = dataclasses.field(default_factory=set)  # of policies: the first segment of a shape compiles a program

    @property
    def loss(self) -> Callable[[jax.Array, jax.Array], jax.Array]:
        """The loss [B] of outputs and labels."""
        return step.squared_loss if self.domains.classes is None else step.softmax_loss

    def init_params(self, seeds: Sequence[int] | jax.Array) -> Any:
        """Parameters at step 0, [L, ...], of the seeds [L]: the same for every fit of a seed."""
        return jax.vmap(lambda seed: self.model.init(stream_key(seed, 'init'))[0])(jnp.asarray(seeds))

    def advance(self, state: step.State, start: Any, replicas: Replicas, policy: Policy, steps: jax.Array, scaling: prepare.Scaling,
                first_step: int) -> tuple[step.State, jax.Array]:
        """(state, mean loss [L]) after settings.segment more steps of every replica; first_step: the number of steps before."""
        if self.pool.inputs is not None:
            return self._segment_on_device(state, start, replicas, policy, steps, scaling)
        losses = []
        for rows, weight, inputs in self._read_batches(replicas, policy, first_step):
            batch = {'inputs': inputs, 'labels': self.pool.labels[rows], 'weight': weight, 'rows': rows}
            state, value = self._segment_from_host(state, start, replicas, policy, steps, batch, scaling, self.frozen)
            losses.append(value)
        return state, jnp.mean(jnp.stack(losses), 0)

    @functools.cached_property
    def _segment_on_device(self):
        def advance_replica(state, start, replica, policy, steps, scaling, pool, frozen):
            rows, weight = draw(pool, replica, policy, state.step, batch=self.settings.batch, sampling=self.settings.sampling)
            batch = {'inputs': pool.inputs[rows], 'labels': pool.labels[rows], 'weight': weight, 'rows': rows}
            return self._step(frozen, state, start, replica, policy, steps, scaling, batch)

        def segment(state, start, replicas, policy, steps, scaling, pool, frozen):
            def of_replica(arguments):
                state, *rest = arguments
                one = lambda state, _: advance_replica(state, *rest, scaling, pool, frozen)
                state, losses = jax.lax.scan(one, state, None, length=self.settings.segment)
                return state, jnp.mean(losses)
            return jax.lax.map(of_replica, (state, start, replicas, policy, steps), batch_size=self.settings.replicas)
        program = jax.jit(segment, donate_argnums=0)
        return lambda *arguments: program(*arguments, self.pool, self.frozen)

    @functools.cached_property
    def _segment_from_host(self):
        def segment(state, start, replicas, policy, steps, batch, scaling, frozen):
            of_replica = lambda arguments: self._step(frozen, *arguments[:-1], scaling, arguments[-1])
            return jax.lax.map(of_replica, (state, start, replicas, policy, steps, batch), batch_size=self.settings.replicas)
        return jax.jit(segment, donate_argnums=0)

    def _step(self, frozen, state, start, replica, policy, steps, scaling, batch):
        batch = self._split(batch)
        apply = lambda trained, inputs: self.model.apply(trained, frozen, inputs)
        return step.train_step(state, batch, start, replica.seed, apply=apply, loss=self.loss, total=policy.total(), steps=steps,
                               prepare=functools.partial(self._prepare, scaling), learning_rate=self.settings.learning_rate,
                               prior=self.settings.prior)

    def _prepare(self, scaling, inputs, keys):
        x = prepare.normalise(inputs, scaling)
        return x if self.settings.augment == 'none' else prepare.augment(x, keys, self.settings.augment)

    def _split(self, batch):
        """The batch of a replica split over the mesh's devices."""
        if self.mesh.size == 1:
            return batch
        check_batch(self.settings.batch, self.mesh)
        return jax.lax.with_sharding_constraint(batch, batch_sharding(self.mesh))

    def _read_batches(self, replicas, policy, first_step):
        """(rows, weights, inputs) [L, B, ...] of the next segment's steps, gathered ahead by grain's threads."""
        def fetch(number):
            rows, weight = self._draw_rows(self.pool, replicas, policy, jnp.int32(first_step + number))
            return np.asarray(rows), np.asarray(weight), self.gather(np.asarray(rows))
        batches = grain.MapDataset.range(self.settings.segment).map(fetch)
        return iter(batches.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=READ_AHEAD)))

    @functools.cached_property
    def _draw_rows(self):
        draw_one = functools.partial(draw, batch=self.settings.batch, sampling=self.settings.sampling)
        return jax.jit(jax.vmap(draw_one, (None, 0, 0, None)))

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Inputs of the pool's rows [...], from the host."""
        out = np.empty((*rows.shape, *self.domains.domains[0].inputs.shape[1:]), self.domains.domains[0].inputs.dtype)
        for domain, start in zip(self.domains.domains, np.asarray(self.pool.starts), strict=True):
            here = (rows >= start) & (rows < start + len(domain))
            out[here] = domain.inputs[rows[here] - start]
        return out


def make_pool(domains: Domains, seed: int, *, resident: bool) -> Pool:
    """The Pool of these domains, shuffled by the seed; its inputs stay on the host unless resident."""
    sizes = np.array([len(domain) for domain in domains.domains])
    shuffle = lambda number, size: np.random.default_rng((seed, number)).permutation(size)
    join = lambda parts: jnp.asarray(np.concatenate([np.asarray(part) for part in parts]))
    return Pool(inputs=join([domain.inputs for domain in domains.domains]) if resident else None,
                labels=join([domain.labels for domain in domains.domains]), sizes=jnp.asarray(sizes, jnp.int32),
                starts=jnp.asarray(np.concatenate([[0], np.cumsum(sizes)[:-1]]), jnp.int32),
                order=join([shuffle(number, size).astype(np.int32) for number, size in enumerate(sizes)]))
