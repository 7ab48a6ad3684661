"""The reliability diagram."""
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from transfer_jax.experiment.scores.calibration import Bins
from transfer_jax.runtime.page.style import STYLE, colour

MAX_AREA = 60  # points^2, of the mark of a bin that has all rows


@rc_context(STYLE)
def reliability(bins: Bins, title: str, axis: tuple[str, str]) -> Figure:
    """A mark for every bin with rows, larger for more: mean predicted probability, and the share that came true, with the standard error
    that as many independent events of that probability would have."""
    figure = Figure(figsize=(2.6, 2.5), layout='constrained')
    axes = figure.subplots()
    there = bins.rows > 0
    predicted, observed = (part[there] / bins.rows[there] for part in (bins.predicted, bins.observed))
    axes.plot([0, 1], [0, 1], color='#808080', linewidth=0.8)
    chance = np.sqrt(predicted * (1 - predicted) / bins.rows[there])
    axes.errorbar(predicted, observed, chance, color=colour(0), linewidth=0.8, alpha=0.7)
    area = 8 + MAX_AREA * np.sqrt(bins.rows[there] / bins.rows.sum())
    axes.scatter(predicted, observed, color=colour(0), s=area, alpha=0.85, linewidths=0)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel=axis[0], ylabel=axis[1], title=title, xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    return figure
