"""How samples are drawn from published weights: as config.sample says, and where it says None as the model's authors do."""
import dataclasses

from tqd_jax.diffusion.defaults import DEFAULTS, Defaults
from tqd_jax.diffusion.sampler import Sampling


def defaults_of(model, boundary) -> Defaults:
    """The authors' Defaults for a WanConfig; boundary: of two experts, or None."""
    if boundary is not None:
        return DEFAULTS['2.2 A14B']
    if model.in_channels == 48:
        return DEFAULTS['2.2 TI2V-5B']
    return DEFAULTS['2.1 14B' if model.layers >= 40 else '2.1 1.3B']


def sampling_of(sample, defaults, boundary) -> Sampling:
    """The Sampling of config.sample, its None from Defaults; boundary: where the experts of the weights meet, or None."""
    own = defaults.sampling
    high, low = (own.guidance_high, own.guidance) if sample.guidance is None else guidance_of(sample.guidance)
    return dataclasses.replace(
        own, solver=sample.solver, grid=sample.grid, integer_time=sample.integer_time, boundary=boundary, guidance=low,
        guidance_high=None if boundary is None else high, steps=own.steps if sample.steps is None else sample.steps,
        shift=own.shift if sample.shift is None else sample.shift)


def guidance_of(value):
    """(high, low) of one scale for all t, or of a pair."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def negative_of(sample, defaults) -> str:
    """The caption that guidance leads away from."""
    return defaults.negative if sample.negative is None else sample.negative
