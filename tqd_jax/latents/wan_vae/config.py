"""Sizes and constants of Wan's two published autoencoders, and what follows from them."""
import dataclasses

from transfer_jax.runtime.counts import counted

MEAN_16 = (-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
           0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921)
STD_16 = (2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
          3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160)
MEAN_48 = (-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891,
           0.1570, -0.0098, 0.0375, -0.1825, -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502,
           -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230, -0.0313, -0.1649, 0.0117, 0.0723,
           -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667)
STD_48 = (0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901,
          0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659,
          0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944,
          0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744)
PUBLISHED = {16: (MEAN_16, STD_16), 48: (MEAN_48, STD_48)}  # z_dim: mean and standard deviation of latents


@dataclasses.dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """Sizes of an autoencoder; the defaults are Wan 2.1's.

    An encoder has one stage for each of `multipliers`; between stages it halves rows and columns, and frames where `temporal` is
    true. The decoder mirrors it. `residual`: stages have a shortcut without parameters (Wan 2.2). `patch`: rows and columns of
    pixels folded into channels first. mean and std, z_dim of each, lead from the posterior's mean to the space of the transformer:
    (mu - mean) / std.
    """

    base_dim: int = 96
    decoder_base_dim: int = 96
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    res_blocks: int = 2
    temporal: tuple[bool, ...] = (False, True, True)
    z_dim: int = 16
    patch: int = 1
    residual: bool = False
    mean: tuple[float, ...] = MEAN_16
    std: tuple[float, ...] = STD_16

    def __post_init__(self):
        """Raises ValueError where lengths of the tuples disagree."""
        if len(self.temporal) != len(self.multipliers) - 1:
            raise ValueError(f'temporal must have a value for each of {counted(len(self.multipliers) - 1, "resampler")}, got '
                             f'{self.temporal}')
        if {len(self.mean), len(self.std)} != {self.z_dim}:
            raise ValueError(f'mean and std need {self.z_dim} values, got {len(self.mean)} and {len(self.std)}')

    @property
    def frame_stride(self) -> int:
        """Frames of a latent frame after the first."""
        return 2 ** sum(self.temporal)

    @property
    def pixel_stride(self) -> int:
        """Rows (and columns) of pixels of one latent."""
        return 2 ** len(self.temporal) * self.patch

    @property
    def pixel_channels(self) -> int:
        """Channels of folded pixels."""
        return 3 * self.patch**2

    @property
    def encoder_dims(self) -> tuple[int, ...]:
        """Channels that enter the first stage, then those that leave each."""
        return tuple(self.base_dim * m for m in (1, *self.multipliers))

    @property
    def decoder_dims(self) -> tuple[int, ...]:
        """Channels that enter the decoder's first stage, then those of the residual blocks of each."""
        return tuple(self.decoder_base_dim * m for m in (self.multipliers[-1], *self.multipliers[::-1]))


WAN_2_1 = VaeConfig()
WAN_2_2 = VaeConfig(base_dim=160, decoder_base_dim=256, z_dim=48, patch=2, residual=True, mean=MEAN_48, std=STD_48)
