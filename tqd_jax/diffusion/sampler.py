"""From noise to clips: a trajectory of the solver under classifier-free guidance, by one model or by an expert after the other."""
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Float32, Int, Key, Shaped, UInt8

from tqd_jax.diffusion.grids import GRIDS, integer_times, segments, sigma_grid
from tqd_jax.diffusion.solvers import SOLVERS, SolverState, advance, start_solver


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a trajectory is computed.

    solver: of solvers.SOLVERS. steps, shift, grid: of grids.sigma_grid. integer_time: the model reads grids.integer_times instead of sigma.
    guidance: scale of classifier-free guidance; up to 1 the model reads the caption alone. guidance_batched: caption and negative go
    through the model in one batch; False: one after the other, in the memory of one. boundary: sigma from which on the expert of high
    noise works, with guidance_high (None: guidance); None: one model. Raises ValueError where they do not fit.
    """
    steps: int
    solver: str = 'heun'
    guidance: float = 1.0
    shift: float = 1.0
    grid: str = 'linear'
    integer_time: bool = False
    guidance_batched: bool = True
    boundary: float | None = None
    guidance_high: float | None = None

    def __post_init__(self):
        if self.solver not in SOLVERS or self.grid not in GRIDS or self.steps < 1:
            raise ValueError(f'sampling takes 1 step or more, a solver of {SOLVERS} and a grid of {GRIDS}, got {self.steps}, '
                             f'{self.solver!r} and {self.grid!r}')
        if self.guidance_high is not None and self.boundary is None:
            raise ValueError(f'guidance_high = {self.guidance_high} is of the expert of high noise, which wants a boundary')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Steps start, ..., stop - 1 of a trajectory. expert: 'high' or 'low' noise, or None for the one model; guidance: its scale."""
    start: int
    stop: int
    expert: str | None
    guidance: float


def stages(settings: Sampling) -> tuple[Stage, ...]:
    """The Stages of a trajectory in their order, each with a step or more."""
    if settings.boundary is None:
        return (Stage(start=0, stop=settings.steps, expert=None, guidance=settings.guidance),)
    high = settings.guidance if settings.guidance_high is None else settings.guidance_high
    with jax.ensure_compile_time_eval():  # the grid is a constant also where this is traced
        parts = segments(_grid(settings), settings.boundary)
    return tuple(Stage(start=start, stop=stop, expert=expert, guidance={'high': high, 'low': settings.guidance}[expert])
                 for start, stop, expert in parts if start < stop)


def draw_noise(keys: Key[Array, ' batch'], shape: tuple) -> Float32[Array, 'batch f h w c']:
    """Standard normal latents float32 [B, *shape], a function of one key an example."""
    return jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float32))(keys)


def guided_velocity(velocity: Callable, text: Shaped[Array, 'batch ...'], negative: Shaped[Array, 'batch ...'],
                    guidance: float | Float[Array, ''], batched: bool = True) -> Callable:
    """The function (x, t) -> v(negative) + guidance (v(text) - v(negative)), where v(text) is velocity(x, t [B], text).

    text, negative: encoded captions [B, ...]. A guidance of at most 1 that is a Python number: v(text), by one run of the model. batched:
    both runs in one batch, otherwise one after the other, by one program of half the size.
    """

    def guided(x, t):
        times = jnp.full(x.shape[:1], t)
        if isinstance(guidance, int | float) and guidance <= 1:
            return velocity(x, times, text)
        if batched:
            xx, tt, both = (jnp.concatenate(pair) for pair in ((x, x), (times, times), (text, negative)))
            towards, away = jnp.split(velocity(xx, tt, both), 2)
        else:
            towards, away = jax.lax.map(lambda words: velocity(x, times, words), jnp.stack([text, negative]))
        return away + guidance * (towards - away)

    return guided


def advance_latents(objective, trained, frozen, state: SolverState, text: Shaped[Array, 'batch ...'], negative: Shaped[Array, '#batch ...'],
                    settings: Sampling, start: int | Int[Array, ''], stop: int | Int[Array, ''],
                    guidance: float | Float32[ArrayLike, '']) -> SolverState:
    """The state after steps start, ..., stop - 1, by the model (trained, frozen['model']); start_latents makes the first one.

    text, negative: encoded captions. Compiled with start, stop and guidance (a float32 scalar) as arguments, one program serves both
    experts where they have the same shapes and dtypes.
    """
    grid = _grid(settings)
    times = integer_times(settings.steps, settings.shift, settings.grid) if settings.integer_time else None

    def velocity(x, t, text):
        read = t if times is None else times[jnp.argmin(jnp.abs(grid[None] - t[:, None]), axis=1)]
        output = objective.model(trained, frozen['model'], x, read, text)
        return objective.path.velocity(output, x, t).astype(jnp.float32)

    negative = jnp.broadcast_to(negative, text.shape)
    return advance(guided_velocity(velocity, text, negative, guidance, settings.guidance_batched), state, grid, start, stop,
                   settings.solver)


def start_latents(noise: Float[Array, 'batch ...'], settings: Sampling) -> SolverState:
    """The state at the noise, in float32, before the first step."""
    return start_solver(noise.astype(jnp.float32), settings.solver)


def sample_latents(objective, trained, frozen, noise: Float[Array, 'batch ...'], text: Shaped[Array, 'batch ...'],
                   negative: Shaped[Array, '#batch ...'], settings: Sampling) -> Float32[Array, 'batch ...']:
    """Latents float32 of encoded captions, led away from encoded negative ones, by one model for all stages."""
    state = start_latents(noise, settings)
    for stage in stages(settings):
        state = advance_latents(objective, trained, frozen, state, text, negative, settings, stage.start, stage.stop, stage.guidance)
    return state.x


def sample(objective, trained, frozen, keys: Key[Array, ' batch'], text: Shaped[ArrayLike, 'batch ...'], shape: tuple, settings: Sampling,
           negative: Shaped[Array, '#batch ...'] | None = None) -> UInt8[Array, 'batch frames height width 3']:
    """Frames uint8 [B, F, H, W, 3] for prepared captions [B, ...] and one key an example; shape is the latent's (f, h, w, C).

    negative: encoded captions that guidance leads away from, [B, ...] or [1, ...]; None: the encoded empty caption.
    """
    encode = lambda prepared: objective.text.encode(frozen['text'], prepared)
    if negative is None:
        negative = encode(jnp.asarray(objective.text.empty(frozen['text']))[None])
    latents = sample_latents(objective, trained, frozen, draw_noise(keys, shape), encode(jnp.asarray(text)), negative, settings)
    return objective.codec.decode(frozen['codec'], latents)


def _grid(settings):
    return sigma_grid(settings.steps, settings.shift, settings.grid)
