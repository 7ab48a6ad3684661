"""How samples are drawn from published weights: as config.sample says, and where it says None as the model's authors do."""
from tqd_jax.diffusion.sampler import Sampling


def sampling_of(sample, sources):
    """The Sampling of config.sample for the model of Sources."""
    official, boundary = sources.official, sources.parts.boundary
    high, low = guidance_of(official.guidance if sample.guidance is None else sample.guidance)
    return Sampling(
        steps=official.steps if sample.steps is None else sample.steps, shift=official.shift if sample.shift is None else sample.shift,
        solver=sample.solver, grid=sample.grid, integer_time=sample.integer_time, guidance=low, boundary=boundary,
        guidance_high=None if boundary is None else high, guidance_batched=False)


def guidance_of(value):
    """(high, low) of one scale for all t, or of a pair."""
    return tuple(value) if isinstance(value, tuple | list) else (value, value)
