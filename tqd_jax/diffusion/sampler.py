"""From noise to clips: Euler and Heun solvers of the probability-flow ODE, with classifier-free guidance."""
import jax
import jax.numpy as jnp

SOLVERS = ('euler', 'heun')


def time_grid(steps, shift=1.0):
    """t_0 = 1 > ... > t_steps = 0, float32 [steps + 1]: equal steps, then the flow shift s t / (1 + (s - 1) t)."""
    t = jnp.linspace(1.0, 0.0, steps + 1, dtype=jnp.float32)
    return shift * t / (1 + (shift - 1) * t)


def solve(velocity, x, grid, solver='heun'):
    """x at grid[-1] from x at grid[0] along dx/dt = velocity(x, t), t a scalar.

    'euler': first order. 'heun': second order, the mean of the velocities at both ends of each step. Raises ValueError on any other.
    """
    if solver not in SOLVERS:
        raise ValueError(f'a solver is one of {SOLVERS}, got {solver!r}')

    def step(x, ends):
        t, s = ends
        slope = velocity(x, t)
        if solver == 'heun':
            slope = (slope + velocity(x + (s - t) * slope, s)) / 2
        return x + (s - t) * slope, None

    return jax.lax.scan(step, x, (grid[:-1], grid[1:]))[0]


def guided_velocity(model, path, params, tokens, guidance):
    """velocity(x, t) = v(nothing) + guidance (v(tokens) - v(nothing)); guidance 1 runs the model once, otherwise on both in one batch."""

    def velocity(x, t):
        times = jnp.full(x.shape[:1], t)
        if guidance == 1:
            return path.velocity(model(params, x, times, tokens), x, times)
        xx, tt, words = (jnp.concatenate(pair) for pair in ((x, x), (times, times), (tokens, jnp.zeros_like(tokens))))
        both = path.velocity(model(params, xx, tt, words), xx, tt)
        given, nothing = jnp.split(both, 2)
        return nothing + guidance * (given - nothing)

    return velocity


def sample(objective, params, keys, tokens, shape, *, steps, solver, guidance, shift=1.0):
    """Frames uint8 [B, F, H, W, 3] for tokens [B, L] and one key an example; shape is the latent's (f, h, w, C)."""
    noise = jax.vmap(lambda key: jax.random.normal(key, shape))(keys)
    velocity = guided_velocity(objective.model, objective.path, params, tokens, guidance)
    return objective.codec.decode(solve(velocity, noise, time_grid(steps, shift), solver))
