"""The visual quality of a clip: every raw measure, and the score that they make."""
import cv2
import numpy as np

from tqd_jax.scoring.measures import visual_score
from tqd_jax.scoring.visual.banding import banding
from tqd_jax.scoring.visual.blocks import blockiness
from tqd_jax.scoring.visual.burnt_in.bars import inside_bars
from tqd_jax.scoring.visual.detail import detail
from tqd_jax.scoring.visual.exposure import exposure
from tqd_jax.scoring.visual.halos import halos
from tqd_jax.scoring.visual.niqe import niqe
from tqd_jax.scoring.visual.overlays import covered
from tqd_jax.scoring.visual.resolution import resolution
from tqd_jax.scoring.visual.strokes import without_strokes

STATISTICS = 2  # every so many frames are asked for their local statistics, the dearest measure


def visual(frames, shrunk=1.0, model=None):
    """Raw measures of frames uint8 [F, H, W, 3], spread over a clip, and 'visual' in [0, 1], higher is better: see measures.visual_score.

    shrunk: by how much the frames were shrunk from the file's. model: the NiqeModel that 'niqe' is told by; without one it is None.
    Everything is measured within the bars. What overlays hide shows no detail.
    """
    lumas = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.float32)
    rows, columns = inside_bars(lumas)
    picture = np.ascontiguousarray(lumas[:, rows, columns])
    area = picture[0].size / lumas[0].size
    share, hidden, start = *covered(picture), (rows.start, columns.start)
    plain = [without_strokes(luma) for luma in picture]
    raw = detail(picture, hidden, plain) | blockiness(picture, 8 * shrunk, start) | banding(picture) | resolution(picture, shrunk)
    raw |= halos(picture, [opened for opened, _ in plain]) | {'letterbox': 1 - area, 'overlay': None if share is None else share * area}
    raw |= exposure(frames[:, rows, columns], picture) | {'niqe': model and niqe(picture[::STATISTICS], model)}
    return raw | {'visual': visual_score(raw)}
