"""The report's sections on gradients, with their figures: which agree, and the law that is learned from them."""
import numpy as np
from cycler import cycler
from matplotlib import rc_context

from tqd_jax.report.plots import AXES, COLOURS, STYLE, panel
from tqd_jax.timesteps.quadrants import LABELS, QUADRANTS
from transfer_jax.runtime.counts import counted

MANY = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')  # groups that are no quadrants


def alignment(page, run):
    """Adds the section on alignment.json to the Page, from the Results."""
    page.section('Which gradients agree')
    record = run.alignment
    if not _readable(page, record, 'alignment.json', 'align', 'summary',
                     'do worse copies of your clips still teach what the clips do, and at which noise?'):
        return
    page.text(f'Gradients of {counted(record["clips"], "golden clip")} against those of copies of them that are worse in visual '
              'quality or in motion '
              f'alone, at step {record["step"]}: {summary(record)}. Bands are 95 % intervals over '
              f'{counted(record["chunks"], "chunk")} of clips.')
    array = lambda nested: np.array(nested, float)  # None, where nothing is known, becomes NaN
    t, captions = array(record['t']), {
        'matched': f'Cosine of two steps on {record["examples"]} examples, with the same clips and noise in both.',
        'expected': 'Cosine of the gradients that endless clips and noise would have; a gap where they are not clearly above 0.'}
    for name, caption in captions.items():
        curves = [array(record[name][key])[:, 0] for key in ('cosine', 'low', 'high')]
        finite = np.isfinite(curves[0])
        lines = {copy: tuple(np.where(finite, x, np.nan)[:, number] for x in curves) for number, copy in enumerate(('motion', 'visual'))}
        page.figure(cosines(f'{name} cosine', t, lines, record['summary'][name]['crossings']), caption,
                    f'{name} cosine of golden gradients with those of worse copies, by noise')
    difference = record['matched']['difference']
    page.figure(differences('matched cosine: worse visual quality - worse motion', record['layers'], array(difference['cosine'])[..., 0],
                                       array(difference['sign'])[..., 0]),
                'By layer group: above zero copies of worse visual quality agree more; a dot where that is sure.',
                'Difference by noise and layer group')


def _readable(page, record, file, mode, key, question):
    """Whether the record of a file is there and has a `key` of today's version; the page says so where it is not."""
    if not record:
        page.text(f'There is no {file} yet. The same command with --mode={mode} writes it: {question}')
    elif key not in record:
        page.text(f'{file} was written by an earlier version: the same command with --mode={mode} writes it anew.')
    return bool(record) and key in record


def summary(record):
    """A sentence on what alignment.json says of the claim that worse visual quality harms less at noisy t, worse motion at clean t."""
    words = {'holds': 'worse visual quality agrees more at noisy t, worse motion at clean t',
             'reversed': 'worse visual quality agrees more at clean t, worse motion at noisy t',
             'mixed': 'which agrees more changes more than once', 'undecided': 'no difference is sure',
             'above everywhere': 'worse visual quality agrees more wherever it is sure',
             'below everywhere': 'worse motion agrees more wherever it is sure'}
    parts = []
    for name, result in record['summary'].items():
        at = ', '.join(f'{place:.2f}' for place in result['crossings'])
        parts.append(f'by the {name} cosine {words[result["verdict"]]}' + (f' (the curves cross at t = {at})' if at else ''))
    return '; '.join(parts)


def learned_law(page, run):
    """Adds the section on the law that the folder's run is trained by, or else on that which --mode=learn wrote, from the Results."""
    page.section('A law that is learned')
    record = run.learned
    if not _readable(page, record, 'law.json', 'learn', 'groups',
                     'when, and how often, should each group of your clips teach, as far as gradients can tell?'):
        return
    weight = np.array(record['weight'])
    t = (np.arange(len(weight)) + 0.5) / len(weight)
    if 'shares' in record:
        page.text(f'What gradients at step {record["step"]} say of training for clips like "{record["target"]}": how often to draw each '
                  'group at each noise. A group that leads elsewhere is drawn less there; one with few clips, less everywhere. Errors are '
                  'standard errors, of a jackknife over clips. To train by it: --config.law.kind=learned --config.law.file=law.json')
    page.figure(weights(t, dict(zip(record['groups'], weight.T, strict=True))),
                'How often a clip is drawn, 1 being uniform training on all.', 'Weight of a clip by noise, one line a group')
    if 'shares' in record:
        page.table(*shares_table(record, t))


def shares_table(record, t):
    """(rows, heading) of the shares of draws by group and noise, with their errors."""
    share, error = (np.array(record[key]) for key in ('shares', 'error'))
    rows = [[group, count, *(f'{a:.2f} ± {b:.2f}' for a, b in zip(share[:, k], error[:, k], strict=True))]
            for k, (group, count) in enumerate(zip(record['groups'], record['clips'], strict=True))]
    return rows, ['share of draws', 'clips', *(f't = {x:.2f}' for x in t)]


@rc_context(STYLE)
def cosines(title, t, curves, marks=()):
    """Cosines by noise: curves {quadrant: (cosine, low, high), each [B] at t [B], NaN where unknown}; marks: t of vertical lines."""
    figure, axes = panel(xlabel='t (0: data, 1: noise)', title=title, xlim=(0, 1))
    for place in marks:
        axes.axvline(place, color='#808080', linewidth=0.8, linestyle='--')
    for name, (cosine, low, high) in curves.items():
        axes.fill_between(t, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
        axes.plot(t, cosine, color=COLOURS[name], marker='o', markersize=3, label=f'worse {AXES[name]}')
    axes.legend(loc='lower right', bbox_to_anchor=(1.0, 0.97), ncols=2)
    return figure


@rc_context({**STYLE, 'axes.grid': False})
def differences(title, names, difference, sign):
    """Difference of two cosines [B, L] by noise and layer group as a table of colours; a dot where its sign [B, L] is sure."""
    figure, axes = panel(height=0.9 + 0.19 * len(names), left=0.75, xlabel='t (0: data, 1: noise)', title=title)
    most = max(0.05, np.nanmax(np.abs(difference), initial=0.0))
    axes.pcolormesh(np.ma.masked_invalid(difference.T), cmap='PuOr', vmin=-most, vmax=most, edgecolors='face', rasterized=True)
    bins, groups = np.nonzero(np.asarray(sign) != 0)
    axes.scatter(bins + 0.5, groups + 0.5, s=4, c='#808080')
    axes.set(xticks=np.linspace(0, len(difference), 6), yticks=np.arange(len(names)) + 0.5)
    axes.set_xticklabels([f'{tick:.1f}' for tick in np.linspace(0, 1, 6)])
    axes.set_yticklabels(names)
    return figure


@rc_context({**STYLE, 'axes.prop_cycle': cycler(color=MANY) * cycler(linestyle=('-', '--', ':'))})
def weights(t, groups):
    """What a clip of each group counts, by noise: groups {name: [B]} at t [B], with a line at 1; quadrants keep their colours."""
    columns = 4 if set(groups) <= set(LABELS) else 2
    more = 0.17 * ((len(groups) - 1) // columns)  # inches, for the legend's other rows
    figure, axes = panel(height=2.3 + more, left=0.5, xlabel='t (0: data, 1: noise)', ylabel='weight of a clip', xlim=(0, 1))
    figure.subplots_adjust(top=1 - (0.28 + more) / (2.3 + more))
    axes.axhline(1, color='#808080', linewidth=0.8)
    lines = []
    for group, weight in groups.items():
        own = {'color': COLOURS[QUADRANTS[LABELS.index(group)]], 'linestyle': '-'} if group in LABELS else {}
        lines += axes.plot(t, weight, marker='o', markersize=3, **own)
    axes.set_ylim(bottom=0)
    labels = [group.replace('$', r'\$') for group in groups]  # no mathematics
    axes.legend(lines, labels, ncols=columns, loc='lower right', bbox_to_anchor=(1.0, 0.97), columnspacing=1.2)
    return figure
