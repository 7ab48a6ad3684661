"""Problem: one target with its sources and its splits, as arrays; replicas of fits are in the order of the splits' seeds."""
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.data.domains import Domain
from transfer_jax.experiment.data.splits import Split
from transfer_jax.experiment.data.tables.sparse import is_sparse
from transfer_jax.experiment.training.evaluate import in_blocks
from transfer_jax.experiment.training.policy import Policy
from transfer_jax.experiment.training.prepare import Scaling, normalise
from transfer_jax.experiment.training.trainer import Trainer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A target domain, K sources among the D domains of the trainer, and S splits of the target's rows.

    target, sources: numbers of domains; splits: one a seed; first_seed: the number of the first seed. scaling: of all inputs. costs: of one
    sample of each source.
    """
    trainer: Trainer
    target: int
    sources: tuple[int, ...]
    splits: tuple[Split, ...]
    first_seed: int
    scaling: Scaling
    costs: tuple[float, ...]

    @property
    def domains(self) -> tuple[Domain, ...]:
        """All domains of the run."""
        return self.trainer.domains.domains

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, or None for a regression."""
        return self.trainer.domains.classes

    @functools.cached_property
    def seeds(self) -> jax.Array:
        """Numbers of the seeds [S]."""
        return jnp.arange(self.first_seed, self.first_seed + len(self.splits), dtype=jnp.uint32)

    @functools.cached_property
    def train(self) -> np.ndarray:
        """The target's training rows [S, N0]."""
        return np.stack([split.train for split in self.splits])

    @property
    def target_size(self) -> int:
        """N0."""
        return self.train.shape[1]

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """N [K]."""
        return np.array([len(self.domains[source]) for source in self.sources])

    @property
    def labels(self) -> np.ndarray:
        """The target's labels [n]."""
        return np.asarray(self.domains[self.target].labels)

    def policy(self, weights: Any, quantities: Any = None, target: float = 1.0) -> Policy:
        """The Policy [S, D] of weights and quantities [S, K] (all samples if None) of the sources, and of the target's weight."""
        quantities = self.sizes if quantities is None else quantities
        return Policy(weights=self._everywhere(target, weights), quantities=self._everywhere(self.target_size, quantities))

    def _everywhere(self, own, rest):
        """[S, D] float32: own at the target, rest [S, K] at the sources, 0 elsewhere."""
        out = np.zeros((len(self.splits), len(self.domains)), np.float32)
        out[:, self.target] = own
        out[:, list(self.sources)] = rest
        return jnp.asarray(out)

    def of_sources(self, values: Any) -> np.ndarray:
        """The sources' part [..., K] of values [..., D]."""
        return np.asarray(values)[..., list(self.sources)]

    def by_seed(self, params: Any) -> Any:
        """Parameters [S, L / S, ...] of replicas [L, ...]."""
        return jax.tree.map(lambda x: x.reshape(len(self.splits), -1, *x.shape[1:]), params)

    def inputs(self, rows: np.ndarray, domain: int | None = None) -> jax.Array:
        """Prepared inputs of rows [...] of a domain, the target if None."""
        inputs = self.domains[self.target if domain is None else domain].inputs[rows.reshape(-1)]
        inputs = jnp.asarray(inputs.toarray() if is_sparse(inputs) else np.asarray(inputs))
        return normalise(inputs, self.scaling).reshape(*rows.shape, *inputs.shape[1:])

    def train_outputs(self, params: Any) -> np.ndarray:
        """Outputs [S, F, N0, C] of parameters [S, F, ...] on each seed's training rows of the target."""
        return np.asarray(_outputs_of_each(params, self.trainer.frozen, self.inputs(self.train), apply=self.trainer.model.apply))

    def losses(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Losses [S, n] of outputs [S, n, C] and labels [S, n]."""
        return np.asarray(_losses(jnp.asarray(outputs), jnp.asarray(labels), loss=self.trainer.loss))

    def outputs(self, params: Any, features: bool = False) -> np.ndarray:
        """Outputs [S, n, C] of parameters [S, ...] on all the target's rows; or features: the head's inputs [S, n, D]."""
        run = self.trainer.model.features if features else self.trainer.model.apply
        params = jax.tree.map(jnp.asarray, params)
        block_outputs = lambda inputs: _outputs(inputs, params, self.trainer.frozen, self.scaling, run=run,
                                                batch_size=self.trainer.settings.replicas)
        return in_blocks(block_outputs, self.domains[self.target].inputs, axis=1)


# programs of the module, not of a Problem: a job compiles each once for all targets and methods
@functools.partial(jax.jit, static_argnames=('run', 'batch_size'))
def _outputs(inputs, params, frozen, scaling, *, run, batch_size):
    return jax.lax.map(lambda params: run(params, frozen, normalise(inputs, scaling)), params, batch_size=batch_size)


@functools.partial(jax.jit, static_argnames='apply')
def _outputs_of_each(params, frozen, inputs, *, apply):
    return jax.vmap(jax.vmap(apply, (0, None, None)), (0, None, 0))(params, frozen, inputs)


@functools.partial(jax.jit, static_argnames='loss')
def _losses(outputs, labels, *, loss):
    return jax.vmap(loss)(outputs, labels)
