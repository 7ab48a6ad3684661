"""A small learned scorer."""
import dataclasses

import jax
import jax.numpy as jnp


@dataclasses.dataclass
class Light:
    """Brightness, and how fast it changes, by a program that counts how often it is traced."""
    gain: float = 1.0
    name: str = 'light'
    version: str = '1'
    columns: tuple = ('light_mean', 'light_slope')
    rate: float = 8.0
    frames: int = 4
    size: tuple = (32, 48)

    def __post_init__(self):
        self.traces, self.batches = 0, []
        self.program = jax.jit(self.measure)

    def measure(self, frames):
        self.traces += 1
        levels = self.gain * frames.astype(jnp.float32).mean((2, 3, 4))
        return {'light_mean': levels.mean(1), 'light_slope': levels[:, -1] - levels[:, 0]}

    def __call__(self, frames):
        self.batches.append(frames)
        return self.program(frames)
