"""The report's figures: arrays in, a matplotlib Figure out; one colour a quadrant, the same everywhere, safe for colour-blind eyes."""
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from tqd_jax.timesteps.quadrants import LABELS, QUADRANTS

COLOURS = {'poor': '#808080', 'visual': '#cc79a7', 'motion': '#0072b2', 'golden': '#e69f00'}
STYLE = {'font.size': 8, 'axes.titlesize': 9, 'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True,
         'axes.axisbelow': True, 'grid.linewidth': 0.4, 'axes.linewidth': 0.6, 'xtick.major.width': 0.6, 'ytick.major.width': 0.6,
         'lines.linewidth': 1.4, 'legend.frameon': False, 'axes.titlelocation': 'left', 'figure.dpi': 150}
AXES = {'motion': 'motion', 'visual': 'visual quality'}  # a score's column: its word on the page
ONE = '#0072b2'  # of what belongs to no quadrant
WIDTH = 4.6  # inches, of about 100 pixels each on a wide screen


def panel(height=2.3, left=0.42, **labels):
    """(figure, axes) of the report's width: height and the room left of the axes in inches, labels as for Axes.set."""
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(left=left / WIDTH, right=1 - 0.1 / WIDTH, bottom=0.42 / height, top=1 - 0.28 / height)
    axes = figure.subplots()
    axes.set(**labels)
    return figure, axes


@rc_context(STYLE)
def scatter(x, y, kind, xlabel, ylabel, cross=None):
    """Clips as points (x [N], y [N]) in the colour of their quadrant (kind: int [N]); cross marks the thresholds (x, y)."""
    figure, axes = panel(height=3.1, left=0.55, xlabel=xlabel, ylabel=ylabel)
    for number, name in enumerate(QUADRANTS):
        mine = kind == number
        axes.scatter(x[mine], y[mine], s=max(4, min(16, 4000 / max(1, len(x)))), c=COLOURS[name], alpha=0.75, linewidths=0,
                     label=LABELS[number], rasterized=len(x) > 2000)
    if cross:
        axes.axvline(cross[0], color='#808080', linewidth=0.8, linestyle='--')
        axes.axhline(cross[1], color='#808080', linewidth=0.8, linestyle='--')
    axes.legend(ncols=4, loc='lower right', bbox_to_anchor=(1.0, 0.97), handletextpad=0.2, columnspacing=1.2)
    return figure


@rc_context(STYLE)
def timesteps(name, counts, grid, density, top):
    """One quadrant's timesteps: counts [BINS] as drawn, not all 0, against the law's density [G] at grid [G]; top ends the axis."""
    figure, axes = panel(xlabel='t (0: data, 1: noise)', title=f'{LABELS[QUADRANTS.index(name)]}: density of t', xlim=(0, 1), ylim=(0, top))
    heights, edges = counts * counts.size / counts.sum(), np.linspace(0, 1, counts.size + 1)
    axes.stairs(heights, edges, fill=True, color=COLOURS[name], alpha=0.4, label='drawn')
    axes.plot(grid, density, color=COLOURS[name], label='law')
    axes.legend(loc='lower right', bbox_to_anchor=(1.0, 0.97), ncols=2)
    return figure


@rc_context(STYLE)
def loss_lines(first, last):
    """Validation loss by noise: tables [4, BINS] of two evaluations, dashed (or None) and solid, a colour a quadrant."""
    figure, axes = panel(left=0.6, xlabel='t (0: data, 1: noise)', ylabel='loss', xlim=(0, 1), yscale='log')
    middle = (np.arange(last.shape[1]) + 0.5) / last.shape[1]
    for number, name in enumerate(QUADRANTS):
        if first is not None:
            axes.plot(middle, first[number], color=COLOURS[name], linestyle='--', linewidth=1)
        axes.plot(middle, last[number], color=COLOURS[name], marker='o', markersize=3, label=LABELS[number])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter('{x:g}')
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(ncols=4, loc='lower right', bbox_to_anchor=(1.0, 0.97), columnspacing=1.2)
    return figure


@rc_context({**STYLE, 'axes.grid': False})
def loss_change(first, last):
    """Change of the validation loss from first to last in per cent, [4, BINS], as a table of colours with numbers."""
    figure, axes = panel(left=0.9, xlabel='t (0: data, 1: noise)', title='change of the loss, %')
    change = 100 * (last / first - 1)
    most = max(1.0, np.nanmax(np.abs(change), initial=0.0))
    axes.pcolormesh(change, cmap='PuOr_r', vmin=-most, vmax=most, edgecolors='face', rasterized=True)
    for (row, column), value in np.ndenumerate(change):
        if np.isfinite(value):
            strong = abs(value) > 0.6 * most
            axes.text(column + 0.5, row + 0.5, _signed(value), ha='center', va='center', color='#fefefe' if strong else '#010101', size=7)
    axes.set(xticks=np.arange(0, change.shape[1] + 1, 2), yticks=np.arange(4) + 0.5)
    axes.set_xticklabels([f'{tick / change.shape[1]:.1f}' for tick in axes.get_xticks()])
    axes.set_yticklabels(LABELS)
    return figure


@rc_context(STYLE)
def curve(steps, values, title, marks=((), ())):
    """One scalar over training steps, and where there are any the marks (steps, values) of validation."""
    figure, axes = panel(left=0.55, xlabel='step', title=title)
    axes.plot(steps, values, color=ONE, label='training', marker='o' if len(steps) == 1 else None, markersize=4)
    axes.yaxis.set_major_formatter('{x:g}')
    if marks[0]:
        axes.plot(*marks, color='#d55e00', marker='o', markersize=4, linewidth=1, label='validation')
        axes.legend(loc='lower right', bbox_to_anchor=(1.0, 0.97), ncols=2)
    return figure


@rc_context(STYLE)
def compare(groups):
    """Motion and visual quality of two groups of clips {name: (motion [N], visual [N])}: the data first, then the samples."""
    figure, axes = panel(height=3.1, left=0.65, xlabel='motion', ylabel='visual quality')
    for (name, (x, y)), colour, marker in zip(groups.items(), ('#808080', '#d55e00'), ('o', 'D'), strict=False):
        axes.scatter(x, y, s=24, c=colour, marker=marker, alpha=0.8, linewidths=0, label=name)
    axes.legend()
    return figure


@rc_context({**STYLE, 'axes.titlesize': 8})
def histogram(name, counts, edges, quantiles):
    """A measure's distribution, small: counts [B] between edges [B + 1], and three quantiles as a line with its middle marked."""
    figure = Figure(figsize=(WIDTH / 2, 1.35))
    figure.subplots_adjust(left=0.04, right=0.96, bottom=0.2, top=0.84)
    axes = figure.subplots()
    axes.set(title=name, yticks=[], ylim=(-0.09 * max(1, counts.max()), 1.05 * max(1, counts.max())))
    axes.stairs(counts, edges, fill=True, color=ONE, alpha=0.45)
    axes.plot(quantiles[[0, 2]], np.full(2, -0.045 * max(1, counts.max())), color=ONE, linewidth=1.2, solid_capstyle='butt')
    axes.plot(quantiles[1], -0.045 * max(1, counts.max()), color=ONE, marker='o', markersize=3.5)
    axes.locator_params(axis='x', nbins=4)
    axes.spines['left'].set_visible(False)
    axes.grid(False)
    return figure


@rc_context(STYLE)
def densities(grid, density):
    """The densities of t [4, G] at grid [G] of the quadrants' clips, a colour each; NaN where a quadrant is empty."""
    top = 1.3 * max([1.0, *(np.quantile(row, 0.97) for row in density if np.isfinite(row).all())])
    figure, axes = panel(height=2.8, left=0.5, xlabel='t (0: data, 1: noise)', ylabel='density of t', xlim=(0, 1), ylim=(0, top))
    for name, label, row in zip(QUADRANTS, LABELS, density, strict=True):
        if np.isfinite(row).all():
            axes.plot(grid, row, color=COLOURS[name], label=label)
    axes.legend(ncols=4, loc='lower right', bbox_to_anchor=(1.0, 0.97), columnspacing=1.2)
    return figure


def _signed(value):
    """'+2', '-1', and '0' for what rounds to it."""
    return f'{value:+.0f}' if round(value) else '0'
