"""Timestep-aware quality decoupling (arXiv 2603.25527): motion teaches noisy t, visual quality clean t, by a Beta law of both scores."""
import numpy as np
from jaxtyping import Float64

from tqd_jax.timesteps.law import Law, make_law


def beta(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, shift, kappa_base, kappa_max, min_parameter) -> Law:
    """The paper's Law [B]: t ~ Beta(tqd_parameters), then the shift; the Beta law takes the place of a base."""
    a, b = tqd_parameters(mq, vq, kappa_base, kappa_max, min_parameter)
    return make_law(mq.size, alpha=a, beta=b, shift=shift)


def exact_base(mq: Float64[np.ndarray, ' n'], vq: Float64[np.ndarray, ' n'], *, base, shift, kappa_max, min_parameter) -> Law:
    """The paper's tilt as the quantile level of the base: Law [B]. kappa_base is 2: mq = vq gives Beta(1, 1), the base itself."""
    a, b = tqd_parameters(mq, vq, 2.0, kappa_max, min_parameter)
    return make_law(mq.size, alpha=a, beta=b, base=base, shift=shift)


def tqd_parameters(mq, vq, kappa_base, kappa_max, min_parameter=0.0):
    """TQD's Beta parameters (arXiv 2603.25527): (mu kappa, (1 - mu) kappa).

    mu = 0.5 + 0.5 (mq - vq), kappa = kappa_base + (kappa_max - kappa_base) |mq - vq|.
    At |mq - vq| -> 1 the smaller one tends to 0 and the density diverges at an end of [0, 1]; min_parameter bounds it from below.
    """
    mu = 0.5 + 0.5 * (mq - vq)
    kappa = kappa_base + (kappa_max - kappa_base) * np.abs(mq - vq)
    return np.maximum(mu * kappa, min_parameter), np.maximum((1 - mu) * kappa, min_parameter)
