"""The noising path between data (t = 0) and noise (t = 1), what the model predicts on it, and its loss for every example."""
import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, Float32

KINDS = ('rectified', 'vp')
Examples = Float[Array, 'batch ...']
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

    def noised(self, x0: Examples, eps: Examples, t: Float[Array, ' batch']) -> Examples:
        """x_t for data x0 [B, ...], noise eps [B, ...] and t [B]."""
        alpha, sigma, _, _ = self.coefficients(_column(t, x0))
        return alpha * x0 + sigma * eps

    def target(self, x0: Examples, eps: Examples, t: Float[Array, ' batch']) -> Examples:
        """What the model is trained to output for (x_t, t): [B, ...]."""
        a, b = self.target_coefficients(_column(t, x0))
        return a * x0 + b * eps

    def target_coefficients(self, t):
        """a, b of the target a x_0 + b eps at t (any shape)."""
        alpha, sigma, d_alpha, d_sigma = self.coefficients(t)
        return {'flow': (d_alpha, d_sigma), 'noise': (jnp.zeros_like(t), jnp.ones_like(t)), 'v': (-sigma, alpha)}[self.prediction]

    def velocity(self, output: Examples, x: Examples, t: Float[Array, ' batch']) -> Examples:
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


def precondition(model, path, mean, std):
    """The model whose network only adds to the best linear guess of the target (Karras et al. 2022, here for any path and target).

    Data of this mean m and standard deviation s, and of variance v = alpha^2 s^2 + sigma^2 once noised, have as best linear prediction of
    a x_0 + b eps

        a m + (a alpha s^2 + b sigma) / v (x_t - alpha m),   and what is left has standard deviation   s |a sigma - b alpha| / sqrt(v).

    The network reads (x_t - alpha m) / sqrt(v) and returns the rest in units of that. Without this a small network spends its capacity on
    carrying the noise from its input to its output. model: (trained, frozen, x, t, text, ...) -> output; what follows the text, such as
    keys of dropout, is passed on. Raises ValueError unless std > 0.
    """
    if not std > 0:
        raise ValueError(f'the data\'s standard deviation must be positive, got {std!r}')

    def predict(trained, frozen, x, t, text, *extra):
        alpha, sigma, _, _ = path.coefficients(_column(t, x))
        a, b = path.target_coefficients(_column(t, x))
        v = alpha**2 * std**2 + sigma**2
        centred = x - alpha * mean
        rest = model(trained, frozen, centred / jnp.sqrt(v), t, text, *extra)
        return a * mean + (a * alpha * std**2 + b * sigma) / v * centred + std * jnp.abs(a * sigma - b * alpha) / jnp.sqrt(v) * rest

    return predict


def loss_per_example(output: Examples, target: Examples) -> Float32[Array, ' batch']:
    """Mean squared error over everything but the leading axis: float32 [B]. Averaging over examples belongs to the step."""
    error = jnp.square(output.astype(jnp.float32) - target.astype(jnp.float32))
    return error.mean(axis=tuple(range(1, error.ndim)))


def _column(t, x):
    return t.reshape(t.shape + (1,) * (x.ndim - t.ndim))
