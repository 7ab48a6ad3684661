"""The page of study 2, docs/results/alignment.md: curves, crossings and a claim for every size whose JSON lies beside it."""
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.studies.pages import figures, files, page
from tqd_jax.report.plots import STYLE

LINES = {'slow': 'worse motion', 'visual': 'worse visual quality'}
COSINES = ('matched', 'expected')
INTRO = """# Where in noise time do worse clips teach what golden ones teach?

Golden clips of the rendered world against copies of *the same clips* that are worse in one thing only: *slow* (all objects slower, by
default at a twentieth of their speed, rendered anew), *visual* (worse visual quality: blur, noise, low resolution or blocks in turn), and
each degradation of visual quality by itself, with two that a law by motion and visual quality does not expect: *colour* and *drops*
(repeated frames). All copies of a clip get the same noise and the same t, and all seeds the same clips: seeds are those of the models.
Models are pre-trained uniformly on all clips; gradients are those at their averaged weights after several numbers of steps.

*matched* is the cosine of two training steps, one on M golden examples and one on their copies. *expected* is that of the gradients which
endless clips and noise would have, from products of different chunks of clips, so that no noise of the two estimates biases it, shared or
not (`tqd_jax/gradients/alignment.py`); it is left out where the gradient is not clearly above 0. Bands are
95 % intervals of the jackknife over chunks of clips, means over seeds; thin lines are the seeds. A number in parentheses: of how many seeds
a mean is, where it is not of all; means of different seeds should not be compared.

Timestep-aware quality decoupling (arXiv 2603.25527) says: clips of worse visual quality agree more at noisy t (near 1), clips of worse
motion at clean t (near 0), and the curves cross. The verdict counts only the noise bins where the sign of visual minus motion is sure:
*holds*, the sign changes once, from motion to visual; *above everywhere*, *below everywhere*: all of them say visual, or motion, however
few they are.
"""


def write_page(folder, results):
    """Writes alignment_SIZE.json with pictures, and alignment.md from all such files in the folder; returns the page's path."""
    files.write_results(folder / f'alignment_{results["size"]}.json', results)
    return rewrite(folder)


def rewrite(folder):
    """Writes alignment.md and its pictures from the JSON files in the folder; returns the page's path."""
    def section_of(results, *_):
        draw_pictures(folder, results)
        return section(results)
    return files.write_page(folder, 'alignment', 'alignment.md', INTRO, section_of)


def section(results):
    """Lines of one size."""
    size, settings, one = results['size'], results['settings'], results['config']
    lines = [f'## Size {size}: {one["size"]} x {one["size"]} x {one["frames"]}', '',
             f'`{page.command("align", results, {"size": size})}`; seeds {results["seeds"]}; '
             f'{settings["clips"]} clips in {settings["chunks"]} chunks, {settings["bins"]} noise bins; {results["machine"]}.', '']
    for name in COSINES:
        lines += [f'### The {name} cosine', '', *claims(results, name), '', f'![{name} cosine by noise](alignment_{size}_{name}.png)', '',
                  *numbers(results, name), '']
    for name in COSINES:
        lines += [f'### Every degradation, {name} cosine', '', *copies_table(results, name), '']
    lines += [f'### Layer groups, at the last step: visual minus motion, matched cosine, seed {results["seeds"][0]}', '',
              f'![by layer group](alignment_{size}_groups.png)', '']
    return lines


def claims(results, name):
    """A table of the verdicts after each number of steps, seed by seed."""
    rows = []
    for step, records in results['moments'].items():
        answers = [record['summary'][name] for record in records]
        verdicts = [one['verdict'] for one in answers]
        places = ['; '.join(f'{t:.2f}' for t in one['crossings']) or 'none' for one in answers]
        rows.append([step, f'{verdicts.count("holds")} of {len(verdicts)} seeds', ', '.join(verdicts), ' / '.join(places)])
    return page.table(['step', 'claim holds', 'by seed', 'curves cross at t, by seed'], rows)


def curve(results, step, name, copy, key='cosine', group=0):
    """[seeds, B] of the cosine of one kind of copies with golden clips; NaN where there is none."""
    place = results['copies'].index(copy) - 1
    values, cosines = (np.array([[bin_[group][place] for bin_ in record[name][which]] for record in results['moments'][step]], float)
                       for which in (key, 'cosine'))
    return np.where(np.isfinite(cosines), values, np.nan)


def means(values):
    """Means over seeds of values [S, B]; NaN where no seed has one."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def numbers(results, name):
    """Means over seeds of both cosines by noise bin, after every number of steps."""
    return by_bin(results, [[step, LINES[copy], curve(results, step, name, copy)] for step in results['moments'] for copy in LINES])


def copies_table(results, name):
    """Means over seeds of a cosine by noise bin, a row for each kind of copies and number of steps."""
    moments, copies = results['moments'], results['copies'][1:]
    return by_bin(results, [[step, copy, curve(results, step, name, copy)] for copy in copies for step in moments])


def by_bin(results, rows):
    """A table of rows [step, what, values [seeds, B]]; a cell has the mean of the seeds with a value, and their number if not all."""
    t = next(iter(results['moments'].values()))[0]['t']
    cells = lambda values: [_cell(mean, np.isfinite(own)) for mean, own in zip(means(values), values.T, strict=True)]
    head = ['step', 'copies of', *(f't = {place:.2f}' for place in t)]
    return page.table(head, [[step, what, *cells(values)] for step, what, values in rows])


def _cell(mean, finite):
    return '—' if not finite.any() else f'{mean:.3f}' if finite.all() else f'{mean:.3f} ({finite.sum()})'


def draw_pictures(folder, results):
    """The pictures that `section` names."""
    for name in COSINES:
        figures.save(lines_figure(results, name), folder / f'alignment_{results["size"]}_{name}.png')
    figures.save(groups_figure(results), folder / f'alignment_{results["size"]}_groups.png')


@rc_context(STYLE)
def lines_figure(results, name):
    """A panel for each number of steps: both curves with their bands, seeds as thin lines."""
    moments = results['moments']
    figure = Figure(figsize=(figures.WIDTH, 2.6), layout='constrained')
    panels = figure.subplots(1, len(moments), sharey=True, squeeze=False)[0]
    panels[0].set_ylabel(f'{name} cosine')
    for axes, (step, records) in zip(panels, moments.items(), strict=True):
        for colour, (copy, label) in zip((figures.COLOURS[0], figures.COLOURS[3]), LINES.items(), strict=True):
            own, low, high = (curve(results, step, name, copy, key) for key in ('cosine', 'low', 'high'))
            axes.plot(records[0]['t'], own.T, color=colour, linewidth=0.4, alpha=0.6)
            axes.plot(records[0]['t'], means(own), color=colour, marker='o', markersize=3, label=label)
            axes.fill_between(records[0]['t'], means(low), means(high), color=colour, alpha=0.2, linewidth=0)
        axes.set(title=f'step {step}', xlabel='t (0: data, 1: noise)', xlim=(0, 1))
    axes.legend()
    return figure


@rc_context({**STYLE, 'axes.grid': False})
def groups_figure(results):
    """Visual minus motion by layer group and noise bin, of the first seed at the last step; a dot where the sign is sure."""
    record = list(results['moments'].values())[-1][0]
    first = lambda key: np.array([[group[0] for group in bin_] for bin_ in record['matched']['difference'][key]], float)
    difference, sign = first('cosine'), first('sign')
    figure = Figure(figsize=(figures.WIDTH, 0.9 + 0.22 * len(record['layers'])), layout='constrained')
    axes, bound = figure.subplots(), np.nanmax(np.abs(difference))
    mesh = axes.pcolormesh(np.linspace(0, 1, len(difference) + 1), np.arange(len(record['layers']) + 1), difference.T, cmap='PuOr',
                            vmin=-bound, vmax=bound)
    bins, group = np.nonzero(sign)
    axes.scatter(np.array(record['t'])[bins], group + 0.5, s=6, c='#404040')
    axes.set(xlabel='t (0: data, 1: noise)', yticks=np.arange(len(record['layers'])) + 0.5)
    axes.set_yticklabels(record['layers'])
    figure.colorbar(mesh, ax=axes, label='matched cosine: visual minus motion')
    return figure
