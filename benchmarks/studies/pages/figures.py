"""Figures of the studies' pages: intervals, curves, histograms, and sheets of clips."""
import math

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from tqd_jax.report.plots import STYLE

COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#808080')  # distinct for colour-blind readers
WIDTH = 7.5  # inches


def save(figure, path):
    """Writes a figure as PNG, without the date, so that the same numbers give the same file."""
    figure.savefig(path, dpi=110, metadata={'Software': None})


@rc_context(STYLE)
def intervals(names, panels, marks=None):
    """A row of dots with intervals for each of the names; panels {title: Estimates in the names' order}, marks {title: a true value}."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.17 * len(names)), layout='constrained')
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    places = np.arange(len(names))[::-1]
    for one, (title, estimates) in zip(axes, panels.items(), strict=True):
        mean = np.array([e.mean for e in estimates])
        bound = lambda e, end: getattr(e, end) if math.isfinite(getattr(e, end)) else e.mean
        low, high = (np.array([bound(e, end) for e in estimates]) for end in ('low', 'high'))
        one.errorbar(mean, places, xerr=[mean - low, high - mean], fmt='o', markersize=3.5, linewidth=1.1, color=COLOURS[0])
        one.set(title=title)
        one.locator_params(axis='x', nbins=4)
        if marks and title in marks:
            one.axvline(marks[title], color='#808080', linestyle='--', linewidth=0.8)
    axes[0].set_yticks(places, names)
    return figure


@rc_context(STYLE)
def curves(x, panels, xlabel):
    """Lines over x [n], a panel each: panels {title: {label: [seeds, n] or [n]}}; a band from the lowest to the highest of the seeds."""
    figure = Figure(figsize=(WIDTH, 2.4), layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for one, (title, lines) in zip(axes, panels.items(), strict=True):
        for number, (label, values) in enumerate(lines.items()):
            values = np.atleast_2d(np.asarray(values, np.float64))
            style = dict(color=COLOURS[number % len(COLOURS)], linestyle='-' if number < len(COLOURS) else '--')
            one.plot(x, values.mean(0), marker='o' if len(x) < 12 else None, markersize=3, label=label, **style)
            if len(values) > 1:
                one.fill_between(x, values.min(0), values.max(0), color=style['color'], alpha=0.15, linewidth=0)
        one.set(title=title, xlabel=xlabel)
        one.locator_params(axis='x', nbins=5)
        if len(lines) > 1 and (one is axes[-1] or list(lines) != list(list(panels.values())[-1])):
            one.legend(loc='center left', bbox_to_anchor=(1.0, 0.5))
    return figure


@rc_context(STYLE)
def histograms(counts):
    """Densities on [0, 1], a small panel each: counts {name: [bins]}, not all 0."""
    columns = 5
    rows = math.ceil(len(counts) / columns)
    figure = Figure(figsize=(WIDTH, 0.35 + 1.05 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    density = {name: np.asarray(values) * len(values) / np.sum(values) for name, values in counts.items()}
    top = 1.05 * max(map(np.max, density.values()))  # of all panels: they share their axis
    for one, (name, values) in zip(axes, density.items(), strict=False):
        one.stairs(values, np.linspace(0, 1, values.size + 1), fill=True, color=COLOURS[0], alpha=0.6)
        one.set(title=name, xlim=(0, 1), ylim=(0, top))
    for one in axes[len(counts):]:
        one.set_visible(False)
    figure.supxlabel('t (0: data, 1: noise)', fontsize=8)
    figure.supylabel('density of t', fontsize=8)
    return figure


def sheet(clips, frames=4, scale=2):
    """One picture, uint8 [height, width, 3]: a row for each {name: uint8 [n, F, H, W, 3]}, of each clip a few frames side by side."""
    rows = []
    for own in clips.values():
        chosen = own[:, np.linspace(0, own.shape[1] - 1, min(frames, own.shape[1])).round().astype(int)]
        gap = np.full((chosen.shape[2], 2, 3), 255, np.uint8)
        rows.append(np.concatenate([part for clip in chosen for part in (*clip, gap)], 1))
        rows.append(np.full((2, rows[-1].shape[1], 3), 255, np.uint8))
    return np.concatenate(rows).repeat(scale, 0).repeat(scale, 1)


@rc_context(STYLE)
def sheet_figure(clips, frames=4):
    """The sheet of clips with a name beside every row."""
    picture = sheet(clips, frames)
    height = WIDTH * 0.86 * picture.shape[0] / picture.shape[1]
    figure = Figure(figsize=(WIDTH, height + 0.1))
    axes = figure.add_axes((0.14, 0.0, 0.86, 1.0))
    axes.imshow(picture, interpolation='nearest', aspect='auto')
    step = picture.shape[0] / len(clips)
    axes.set_yticks((np.arange(len(clips)) + 0.5) * step, list(clips))
    axes.set(xticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure
