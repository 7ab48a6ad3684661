"""The picture of the weights between tasks in a multi-task report."""
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from transfer_jax.runtime.page.style import STYLE

MAX_NAMES = 40  # more tasks than this have no names beside the picture
MAX_NUMBERS = 16  # more tasks than this have no numbers in their cells
DECADES = 6  # of the colours' range, at most: a smaller weight has the lightest colour
COLOURS = ListedColormap(colormaps['Blues'](np.linspace(0.18, 1, 256)))  # the lightest is apart from paper
DARK, LIGHT = '#101010', '#fdfdfd'  # numbers on a light and on a dark cell, in a light and a dark page alike


@rc_context({**STYLE, 'axes.grid': False})
def weights_picture(weights: np.ndarray, names: Sequence[str]) -> Figure | None:
    """The weights [T, T] of tasks by name as cells; None where all weights between two tasks are 0.

    Colours are logarithmic over the positive weights outside the diagonal, so that one huge weight leaves the others apart. A cell of
    weight 0, and the diagonal, has no colour. Few tasks have numbers in their cells.
    """
    others = np.where(np.eye(len(weights), dtype=bool), 0, weights)
    if not (others > 0).any():
        return None
    high = float(others.max())
    low = max(float(others[others > 0].min()), high / 10**DECADES)
    norm = LogNorm(min(low, high / 10), high, clip=True)
    side = max(4.4, 0.46 * len(weights)) if len(weights) <= MAX_NUMBERS else 5.4
    figure = Figure(figsize=(side + 0.8, side), layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(np.ma.masked_equal(others, 0), norm=norm, cmap=COLOURS, interpolation='nearest')
    figure.colorbar(image, ax=axes, shrink=0.8, label='weight (no colour: 0)')
    axes.set(xlabel='examples of', ylabel='in the likelihood of')
    if len(names) <= MAX_NAMES:
        axes.set(yticks=range(len(names)), yticklabels=names, xticks=range(len(names)))
        axes.set_xticklabels(names, rotation=90)
    axes.tick_params(labelsize=7)
    if len(names) <= MAX_NUMBERS:
        _numbers(axes, weights, norm)
    return figure


def _numbers(axes, weights, norm):
    """Writes each weight into its cell; those without a colour in the page's own ink."""
    for (row, column), weight in np.ndenumerate(weights):
        coloured = row != column and weight > 0
        ink = (LIGHT if _luminance(norm(weight)) < 0.5 else DARK) if coloured else '#000000'
        text = f'{weight:.2g}' if weight == 0 or weight >= 1e-3 else f'{weight:.0e}'
        axes.text(column, row, text, ha='center', va='center', fontsize=6.5, color=ink, alpha=1 if coloured else 0.45)


def _luminance(part):
    """The luminance in [0, 1] of the colour at a part of the colours' range."""
    return float(np.dot(COLOURS(float(part))[:3], (0.2126, 0.7152, 0.0722)))
