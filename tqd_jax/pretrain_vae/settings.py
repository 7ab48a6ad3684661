"""What a training run of the small autoencoder depends on: sizes, seeds, clips, and phases of crops and learning rates."""
import dataclasses

from tqd_jax.latents.wan_vae.config import VaeConfig

# Wan 2.1's blocks on pixels folded 2 x 2 as Wan 2.2's: 8 x 8 pixels and 4 frames become a latent
TINY = VaeConfig(base_dim=24, decoder_base_dim=24, multipliers=(1, 2, 2), res_blocks=1, temporal=(True, True), patch=2,
                 mean=(0.0,) * 16, std=(1.0,) * 16)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """Updates on batches of crops: their number, the crop's frames and side in pixels, and the learning rate, by a cosine from - to.

    decoder_only: the encoder is the average of weights so far and stays so, and with it every latent.
    """

    steps: int
    batch: int
    frames: int
    side: int
    first_rate: float
    last_rate: float
    decoder_only: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One run. seed: of weights, crops and posterior noise. clips_seed, clips: of the rendered library that it trains on.

    kl: weight of the mean KL divergence of a latent from N(0, 1), beside the mean squared error of pixels in [-1, 1]. warmup: steps of a
    linear rise. ema: decay of the average of weights, which is what is published; from step 0 on it is (1 + step) / (10 + step) at most.
    """

    seed: int = 0
    clips_seed: int = 2
    clips: int = 800
    kl: float = 3e-5
    warmup: int = 100
    clip_norm: float = 1.0
    ema: float = 0.998
    phases: tuple[Phase, ...] = (
        Phase(steps=4000, batch=4, frames=5, side=32, first_rate=1e-2, last_rate=4e-3),
        Phase(steps=5000, batch=1, frames=17, side=64, first_rate=4e-3, last_rate=1e-4),
        Phase(steps=12000, batch=1, frames=17, side=64, first_rate=2e-3, last_rate=5e-5, decoder_only=True),
    )
    vae: VaeConfig = TINY

    @property
    def steps(self) -> int:
        """Updates of all phases."""
        return sum(phase.steps for phase in self.phases)

    def at(self, step: int) -> tuple[Phase, int]:
        """(the phase of update `step` = 0, 1, ..., the first update of that phase)."""
        first = 0
        for phase in self.phases:
            if step < first + phase.steps:
                return phase, first
            first += phase.steps
        raise ValueError(f'there are {self.steps} updates, and none has the number {step}')
