"""The noising path between data (t = 0) and noise (t = 1), what the model predicts on it, and its loss for every example."""
import dataclasses

import jax.numpy as jnp

KINDS = ('rectified', 'vp')
PREDICTIONS = ('flow', 'noise', 'v')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Path:
    """x_t = alpha(t) x_0 + sigma(t) eps, and the model's target on it.

    kind: 'rectified' (alpha = 1 - t, sigma = t) or 'vp' (alpha = cos(pi t / 2), sigma = sin(pi t / 2)).
    prediction: 'flow' (dx_t/dt = alpha' x_0 + sigma' eps; eps - x_0 on the rectified path), 'noise' (eps) or 'v' (alpha eps - sigma x_0).
    Raises ValueError on any other.
    """
    kind: str = 'rectified'
    prediction: str = 'flow'

    def __post_init__(self):
        if self.kind not in KINDS or self.prediction not in PREDICTIONS:
            raise ValueError(f'a path is one of {KINDS} with a prediction of {PREDICTIONS}, got {self.kind!r} and {self.prediction!r}')

    def coefficients(self, t):
        """alpha, sigma, d alpha/dt, d sigma/dt at t (any shape)."""
        if self.kind == 'rectified':
            return 1 - t, t, -jnp.ones_like(t), jnp.ones_like(t)
        angle = jnp.pi / 2 * t
        return jnp.cos(angle), jnp.sin(angle), -jnp.pi / 2 * jnp.sin(angle), jnp.pi / 2 * jnp.cos(angle)

    def noised(self, x0, eps, t):
        """x_t for data x0 [B, ...], noise eps [B, ...] and t [B]."""
        alpha, sigma, _, _ = self.coefficients(_column(t, x0))
        return alpha * x0 + sigma * eps

    def target(self, x0, eps, t):
        """What the model is trained to output for (x_t, t): [B, ...]."""
        alpha, sigma, d_alpha, d_sigma = self.coefficients(_column(t, x0))
        return {'flow': d_alpha * x0 + d_sigma * eps, 'noise': eps, 'v': alpha * eps - sigma * x0}[self.prediction]

    def velocity(self, output, x, t):
        """dx/dt of the probability-flow ODE at x [B, ...], t [B], from the model's output.

        x_0 and eps are recovered from it, then dx/dt = alpha' x_0 + sigma' eps. With 'noise' x_0 = (x - sigma eps) / alpha is undetermined
        at t = 1; alpha is kept above 1e-3 there.
        """
        if self.prediction == 'flow':
            return output
        alpha, sigma, d_alpha, d_sigma = self.coefficients(_column(t, x))
        if self.prediction == 'noise':
            x0, eps = (x - sigma * output) / jnp.maximum(alpha, 1e-3), output
        else:
            norm = alpha**2 + sigma**2
            x0, eps = (alpha * x - sigma * output) / norm, (sigma * x + alpha * output) / norm
        return d_alpha * x0 + d_sigma * eps


def loss_per_example(output, target):
    """Mean squared error over everything but the leading axis: float32 [B]. Averaging over examples belongs to the step."""
    error = jnp.square(output.astype(jnp.float32) - target.astype(jnp.float32))
    return error.mean(axis=tuple(range(1, error.ndim)))


def _column(t, x):
    return t.reshape(t.shape + (1,) * (x.ndim - t.ndim))
