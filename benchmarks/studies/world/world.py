"""The settings of the benchmark world, and its clips with everything that is true of them."""
import dataclasses

import numpy as np

from benchmarks.studies.world.degradations import DEGRADATIONS, DETAIL

TEXT_LEN, VOCAB = 8, 512  # of captions, as in configs/pixels.py; no two words of this world share a token
HELD_OUT, TARGET, COMPARED = 2000, 3000, 4000  # seeds of worlds beside the library's: for validation, for learning laws, for gradients


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """What a benchmark's clips are.

    size, frames, fps: a clip is uint8 [frames, size, size, 3] at fps frames a second. clips: how many. seed: of everything.
    sprites: the minimum and the maximum of objects in a scene; each beyond the minimum is there with probability 1/4.
    correlation: Pearson's, of mq and vq over the library. golden: the share of clips that are good at both.
    degradations: of visual quality, drawn uniformly; some of world.degradations.DEGRADATIONS. Raises ValueError for impossible settings.
    """

    size: int = 16
    frames: int = 8
    fps: int = 8
    clips: int = 2048
    seed: int = 0
    sprites: tuple[int, int] = (1, 2)
    correlation: float = -0.24
    golden: float = 0.219
    degradations: tuple[str, ...] = DETAIL

    def __post_init__(self):
        if self.size < 16 or self.size % 8 or self.frames < 2 or self.fps < 1 or self.clips < 1 or self.seed < 0:
            raise ValueError(f'a world has a size of 16, 24, ..., 2 frames, 1 fps, 1 clip and a seed from 0, not {self}')
        if not 1 <= self.sprites[0] <= self.sprites[1] <= 2:
            raise ValueError(f'a scene has 1 or 2 sprites (captions have {TEXT_LEN} words), not {self.sprites}')
        if not -1 < self.correlation < 1 or not 0 < self.golden < 1:
            raise ValueError(f'correlation {self.correlation} must be in (-1, 1), golden {self.golden} in (0, 1)')
        if not self.degradations or set(self.degradations) - set(DEGRADATIONS):
            raise ValueError(f'degradations are some of {", ".join(DEGRADATIONS)}, not {self.degradations}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """N clips and their truth; S = 2 places for sprites, the second empty where there is one only.

    frames: uint8 [N, F, H, W, 3]. tokens: int32 [N, 8]. captions: str [N]. mq, vq: [N] in [0, 1], the share of the library that has
    less motion or less visual quality. golden, motion_only, visual_only, poor: bool [N], one of them true. speed: [N], frame
    diagonals a second. severity: [N] in [0, 1]. degradation: int [N], into DEGRADATIONS. shape, colour: int [N, S], into
    scenes.SHAPES and list(scenes.COLOURS), -1 where empty. radius: [N, S] and positions: [N, F, S, 2] as (x, y), in frame
    widths, NaN where empty.
    """

    frames: np.ndarray
    tokens: np.ndarray
    captions: np.ndarray
    mq: np.ndarray
    vq: np.ndarray
    golden: np.ndarray
    motion_only: np.ndarray
    visual_only: np.ndarray
    poor: np.ndarray
    speed: np.ndarray
    severity: np.ndarray
    degradation: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    radius: np.ndarray
    positions: np.ndarray

    def __len__(self):
        return len(self.frames)

    def take(self, rows):
        """The Clips of these rows (indices or a mask)."""
        return Clips(**{field.name: getattr(self, field.name)[rows] for field in dataclasses.fields(self)})
