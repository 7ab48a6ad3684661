"""The page of study 2, docs/results/alignment.md: curves, crossings and a claim for every size whose JSON lies beside it."""
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.studies.pages import figures, files, page
from tqd_jax.report.plots import STYLE

LINES = {'slow': 'worse motion', 'look': 'worse look'}
COSINES = ('matched', 'expected')
INTRO = """# Where in noise time do worse clips teach what golden ones teach?

Golden clips of the rendered world against copies of *the same clips* that are worse in one thing only: *slow* (all objects slower, by
default at a twentieth of their speed, rendered anew), *look* (blur, noise, low resolution or blocks in turn), and each degradation of look
by itself, with two that a law by motion and look does not know: *colour* and *drops* (held frames). All copies of a clip get the same noise
and the same t, and all seeds the same clips: seeds are those of the models. Models are pre-trained uniformly on all clips; gradients are
taken at their averaged weights at several moments.

*matched* is the cosine of two training steps, one on M golden examples and one on their copies. *expected* is that of the gradients which
endless clips and noise would have, from products of different chunks of clips, so that neither the noise that the two estimates share nor
that which they do not biases it (`tqd_jax/gradients/alignment.py`); it is left out where the gradient is not clearly above 0. Bands are
95 % intervals of the jackknife over chunks of clips, means over seeds; thin lines are the seeds. A number in parentheses: of how many seeds
a mean is, where it is not all of them; means of different seeds should not be compared.

Timestep-aware quality decoupling (arXiv 2603.25527) says: worse look agrees more at noisy t (near 1), worse motion at clean t (near 0),
and the curves cross. Of the buckets of t where the sign of look minus motion is sure, and of no others: *holds*, they turn once, from
motion to look; *above everywhere*, *below everywhere*: all of them say look, or motion, however few they are.
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
             f'`{page.command("study_align", results, {"size": size})}`; seeds {results["seeds"]}; '
             f'{settings["clips"]} clips in {settings["chunks"]} chunks, {settings["buckets"]} buckets of t; {results["machine"]}.', '']
    for name in COSINES:
        lines += [f'### The {name} cosine', '', *claims(results, name), '', f'![{name} cosine by noise](alignment_{size}_{name}.png)', '',
                  *numbers(results, name), '']
    for name in COSINES:
        lines += [f'### Every degradation, {name} cosine', '', *kinds_table(results, name), '']
    lines += [f'### Layer groups, at the last moment: look minus motion, matched cosine, seed {results["seeds"][0]}', '',
              f'![by layer group](alignment_{size}_groups.png)', '']
    return lines


def claims(results, name):
    """A table of what each moment says, seed by seed."""
    rows = []
    for step, records in results['moments'].items():
        said = [record['said'][name] for record in records]
        words = [one['verdict'] for one in said]
        places = ['; '.join(f'{t:.2f}' for t in one['crossings']) or 'none' for one in said]
        rows.append([step, f'{words.count("holds")} of {len(words)} seeds', ', '.join(words), ' / '.join(places)])
    return page.table(['step', 'claim holds', 'by seed', 'curves cross at t, by seed'], rows)


def curve(results, step, name, kind, key='cosine', group=0):
    """[seeds, B] of one kind's cosine with golden; NaN where it is not known."""
    place = results['kinds'].index(kind) - 1
    values, known = (np.array([[bucket[group][place] for bucket in record[name][which]] for record in results['moments'][step]], float)
                     for which in (key, 'cosine'))
    return np.where(np.isfinite(known), values, np.nan)


def means(values):
    """Over seeds [S, B]; NaN where no seed knows."""
    count = np.isfinite(values).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def numbers(results, name):
    """Means over seeds of both cosines by bucket, at every moment."""
    return by_bucket(results, [[step, LINES[kind], curve(results, step, name, kind)] for step in results['moments'] for kind in LINES])


def kinds_table(results, name):
    """Means over seeds of a cosine by bucket, a row a kind and moment."""
    moments, kinds = results['moments'], results['kinds'][1:]
    return by_bucket(results, [[step, kind, curve(results, step, name, kind)] for kind in kinds for step in moments])


def by_bucket(results, rows):
    """A table of rows [step, what, values [seeds, B]]; a cell has the mean of the seeds that are known, and their number if not all."""
    t = next(iter(results['moments'].values()))[0]['t']
    cells = lambda values: [_cell(mean, np.isfinite(own)) for mean, own in zip(means(values), values.T, strict=True)]
    head = ['step', 'copies of', *(f't = {place:.2f}' for place in t)]
    return page.table(head, [[step, what, *cells(values)] for step, what, values in rows])


def _cell(mean, known):
    return '—' if not known.any() else f'{mean:.3f}' if known.all() else f'{mean:.3f} ({known.sum()})'


def draw_pictures(folder, results):
    """The pictures that `section` names."""
    for name in COSINES:
        figures.save(lines_figure(results, name), folder / f'alignment_{results["size"]}_{name}.png')
    figures.save(groups_figure(results), folder / f'alignment_{results["size"]}_groups.png')


@rc_context(STYLE)
def lines_figure(results, name):
    """A panel a moment: both curves with their bands, seeds as thin lines."""
    moments = results['moments']
    figure = Figure(figsize=(figures.WIDTH, 2.6), layout='constrained')
    panels = figure.subplots(1, len(moments), sharey=True, squeeze=False)[0]
    panels[0].set_ylabel(f'{name} cosine')
    for axes, (step, records) in zip(panels, moments.items(), strict=True):
        for colour, (kind, label) in zip((figures.COLOURS[0], figures.COLOURS[3]), LINES.items(), strict=True):
            own, low, high = (curve(results, step, name, kind, key) for key in ('cosine', 'low', 'high'))
            axes.plot(records[0]['t'], own.T, color=colour, linewidth=0.4, alpha=0.6)
            axes.plot(records[0]['t'], means(own), color=colour, marker='o', markersize=3, label=label)
            axes.fill_between(records[0]['t'], means(low), means(high), color=colour, alpha=0.2, linewidth=0)
        axes.set(title=f'step {step}', xlabel='t (0: data, 1: noise)', xlim=(0, 1))
    axes.legend()
    return figure


@rc_context({**STYLE, 'axes.grid': False})
def groups_figure(results):
    """Look minus motion by layer group and bucket, of the first seed at the last moment; a dot where the sign is sure."""
    record = list(results['moments'].values())[-1][0]
    first = lambda key: np.array([[group[0] for group in bucket] for bucket in record['matched']['difference'][key]], float)
    difference, sign = first('cosine'), first('sign')
    figure = Figure(figsize=(figures.WIDTH, 0.9 + 0.22 * len(record['groups'])), layout='constrained')
    axes, most = figure.subplots(), np.nanmax(np.abs(difference))
    drawn = axes.pcolormesh(np.linspace(0, 1, len(difference) + 1), np.arange(len(record['groups']) + 1), difference.T, cmap='PuOr',
                            vmin=-most, vmax=most)
    bucket, group = np.nonzero(sign)
    axes.scatter(np.array(record['t'])[bucket], group + 0.5, s=6, c='#404040')
    axes.set(xlabel='t (0: data, 1: noise)', yticks=np.arange(len(record['groups'])) + 0.5)
    axes.set_yticklabels(record['groups'])
    figure.colorbar(drawn, ax=axes, label='matched cosine: look minus motion')
    return figure
