"""The pictures of a transfer run's report."""
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from transfer_jax.runtime.page.style import STYLE, colour

MARKS = 'os^Dvx*P<>hpdX8H'  # one for each of the 16 methods


@rc_context(STYLE)
def bars(names: Sequence[str], means: Sequence[float], errors: Sequence[float | None], label: str, highlights: Collection[str]) -> Figure:
    """Horizontal bars of means with standard errors (None: unknown), one name a row; the names in `highlights` in another colour."""
    figure = Figure(figsize=(6, 0.28 * len(names) + 0.8), layout='constrained')
    axes = figure.subplots()
    spread, least = [0 if error is None else error for error in errors], min(means)
    axes.barh(names, means, xerr=spread, color=[colour(1) if name in highlights else colour(0) for name in names], alpha=0.85)
    axes.set(xlabel=label, xlim=(least - 0.15 if least < 0 else max(0, least - 0.15), None))
    axes.grid(axis='y', visible=False)
    axes.invert_yaxis()
    return figure


@rc_context(STYLE)
def weights_over_time(sources: Sequence[str], steps: Sequence[int], weights: np.ndarray, title: str, label: str) -> Figure:
    """weights [T, S, K] at steps [T]: a line a source (mean over seeds) within one standard deviation."""
    figure = Figure(figsize=(5, 2.6), layout='constrained')
    axes = figure.subplots()
    for number, name in enumerate(sources):
        mean, spread = weights[..., number].mean(1), weights[..., number].std(1)
        axes.plot(steps, mean, color=colour(number), marker='o', markersize=3, label=name)
        axes.fill_between(steps, np.maximum(0, mean - spread), mean + spread, color=colour(number), alpha=0.15, linewidth=0)
    axes.set(xlabel='step', ylabel=label, title=title, ylim=(0, None if weights.any() else 1))
    axes.legend(ncols=2)
    return figure


@rc_context(STYLE)
def prediction_against_loss(points: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """points {method: (predicted errors [N], losses [N])}: a mark each, on logarithmic axes, both relative to the target alone."""
    figure = Figure(figsize=(5, 3.4), layout='constrained')
    axes = figure.subplots()
    for number, (name, (errors, losses)) in enumerate(points.items()):
        axes.plot(errors, losses, MARKS[number % len(MARKS)], color=colour(number), label=name, markersize=4, linestyle='none', alpha=0.8)
    axes.axhline(1, color='#808080', linewidth=0.8)
    axes.axvline(1, color='#808080', linewidth=0.8)
    axes.set(xscale='log', xlabel='predicted F / target only', ylabel='test loss / target only')
    axes.legend(fontsize=7, ncols=2)
    return figure


@rc_context(STYLE)
def pareto(fractions: Sequence[float], curves: Mapping[str, tuple[Sequence[float], tuple[float, float]]]) -> Figure:
    """Predicted F over target only against the part of the samples taken, fractions [B]; curves {target: (F [B], (part, F) of OTQMS)}."""
    figure = Figure(figsize=(5, 3), layout='constrained')
    axes = figure.subplots()
    for number, (name, (errors, (amount, error))) in enumerate(curves.items()):
        axes.plot(fractions, errors, color=colour(number), marker='o', markersize=3, label=name)
        axes.plot([max(amount, fractions[0])], [error], '*', color=colour(number), markersize=9)
    axes.set(xscale='log', xlabel='part of the source samples', ylabel='predicted F / target only', ylim=(0, None))
    axes.legend(ncols=2, fontsize=7)
    return figure


@rc_context(STYLE)
def intervals(names: Sequence[str], values: np.ndarray, bounds: np.ndarray, of_seeds: np.ndarray, colours: Sequence[str], label: str,
              marks: tuple[float, float]) -> Figure:
    """A row a name: values [K] in bounds [K, 2], above the thin ones of every seed [S, K, 2], on an axis linear up to the first of marks.

    marks: two values at which a line stands.
    """
    figure = Figure(figsize=(5, 0.34 * len(names) + 0.9), layout='constrained')
    axes = figure.subplots()
    rows = np.arange(len(names), dtype=float)
    for number, of_seed in enumerate(of_seeds):
        place = rows + 0.12 + 0.28 * number / max(1, len(of_seeds) - 1)
        axes.hlines(place, of_seed[:, 0], of_seed[:, 1], colors=colours, linewidth=0.7, alpha=0.5)
    axes.hlines(rows, bounds[:, 0], bounds[:, 1], colors=colours, linewidth=3)
    axes.scatter(values, rows, c=colours, s=28, zorder=3)
    for mark in marks:
        axes.axvline(mark, color='#808080', linewidth=0.8, linestyle='--')
    axes.set_xscale('symlog', linthresh=marks[0])
    axes.set(xlabel=label, yticks=rows, yticklabels=names, xlim=(0, 1.3 * max(marks[1], np.max(bounds), np.max(of_seeds))))
    axes.grid(axis='y', visible=False)
    axes.invert_yaxis()
    return figure


def over(values: Any, base: Any) -> np.ndarray:
    """values / base, elementwise; NaN where base is not positive."""
    values, base = np.asarray(values, float), np.asarray(base, float)
    return np.divide(values, base, out=np.full(values.shape, np.nan), where=base > 0)
