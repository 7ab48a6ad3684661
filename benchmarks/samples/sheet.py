"""A picture of samples: film strips with their captions underneath."""
import io

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tqd_jax.report.plots import STYLE
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import make_folder

COLUMNS, STRIPS, FRAMES = 3, 18, 6  # of the sheet; frames of a strip, evenly spread over the clip
INCHES = 0.5  # of a frame


def write_sheet(path, frames, captions):
    """Writes a PNG of the first clips [N, F, H, W, 3], each as a strip over its caption: never a choice of the best."""
    make_folder(path.parent)
    buffer = io.BytesIO()
    sheet(frames[:STRIPS], captions[:STRIPS]).savefig(buffer, dpi=128, format='png', metadata={'Software': None})
    write_atomically(path, buffer.getvalue())


@rc_context(STYLE)
def sheet(frames, captions):
    """A matplotlib Figure of strips."""
    rows = -(-len(frames) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * (FRAMES * INCHES + 0.15), rows * (INCHES + 0.28)), layout='constrained')
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for one in axes:
        one.set_axis_off()
    for one, clip, caption in zip(axes, frames, captions, strict=False):
        one.imshow(strip(clip), interpolation='nearest')
        one.text(0.5, -0.06, caption, transform=one.transAxes, ha='center', va='top', fontsize=7)
    return figure


def strip(clip):
    """uint8 [H, w, 3]: FRAMES of a clip [F, H, W, 3] from left to right, a white pixel between each two."""
    some = clip[np.linspace(0, len(clip) - 1, min(FRAMES, len(clip))).round().astype(int)]
    return np.concatenate([np.pad(frame, ((0, 0), (0, 1), (0, 0)), constant_values=255) for frame in some], axis=1)[:, :-1]
