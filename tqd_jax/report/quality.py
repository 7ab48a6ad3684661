"""quality.html: the page of a scored library: its scores, its clips, and the timesteps at which they will teach."""
import pathlib

import numpy as np
from scipy import stats

from tqd_jax.clips import places
from tqd_jax.clips.thumbnails import strip, thumbnails
from tqd_jax.report import plots
from tqd_jax.report.page import BEST_FIRST, correlation, quadrant_table
from tqd_jax.report.plots import AXES
from tqd_jax.report.results import LISTED
from tqd_jax.report.score_table import COLUMNS, FORMAT, TRUTH, read_score_table
from tqd_jax.scoring.duplicates import CROWD, near_duplicates
from tqd_jax.scoring.measures import VISUAL_FORMULA
from tqd_jax.timesteps.density import mean_density
from tqd_jax.timesteps.quadrants import LABELS, QUADRANTS
from tqd_jax.timesteps.quality import LawConfig, law_from_quality
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.page import Mark, Page, Picture
from transfer_jax.runtime.paths import path_of

POINTS = 400  # clips in the scatters
ROWS, FRAMES = 8, 6  # clips of a contact sheet, and frames of each
GROUPS, MEMBERS = 12, 8  # near-duplicates that are shown
SIDE = 112  # pixels, of a thumbnail
BARS = 32
EDGE = 0.005  # share of the clips at either end that a histogram counts into its last bar
AVERAGED = 2000  # clips of a quadrant whose densities are averaged


def write_quality_report(scores_path, output_html, *, law=LawConfig(), seed=0, workers=0):
    """Writes the page; law: what the quadrants' densities are of; seed: of the samples that are drawn; workers: threads for thumbnails.

    Reads a column at a time: memory grows by about 1 kB a clip. Raises OSError with the path where a file cannot be read or written.
    """
    table = read_score_table(scores_path, seed)
    folder = path_of(scores_path).parent
    page = Page(f'Clip quality: {folder.name or folder.resolve().name}', f'{table.file.path.name} · law: {law.kind}')
    _glance(page, table)
    if len(table.rows):
        _scatters(page, table, workers)
        _timesteps(page, table, law)
        _sheets(page, table, workers)
        _measures(page, table)
        _duplicates(page, table, workers)
    _reasons(page, table)
    page.write(output_html)


def _glance(page, table):
    scored = len(table.rows)
    page.section('At a glance', 'Every clip is scored for motion and for visual quality. mq and vq are these scores within the library, 0 '
                 'to 1; a clip is golden where both reach 0.5.')
    facts = {'clips': table.file.clips, 'scored': scored, 'without scores': table.file.clips - scored}
    if scored:
        facts |= {LABELS[q]: f'{np.mean(table.quadrant == q):.0%}' for q, _ in BEST_FIRST}
        facts |= {f'{name} of motion and visual quality': correlation(test, table.motion, table.visual)
                  for name, test in (('Pearson r', stats.pearsonr), ('Spearman r', stats.spearmanr))}
    page.facts(facts)
    if not scored:
        page.text('No clip has been scored.')


def _scatters(page, table, workers):
    chosen = np.sort(table.order[:POINTS])
    paths = table.clips_at(chosen)
    jpegs = [strip(frames) for frames in thumbnails(paths, 1, SIDE, workers)]
    page.section('Motion and visual quality')
    part = '' if len(chosen) == len(table.rows) else f'{len(chosen)} of {counted(len(table.rows), "clip")}, chosen by a hash of content. '
    for x, y, xlabel, ylabel, caption, cross in (
            (table.motion, table.visual, 'motion', 'visual quality', 'As measured on the decoded frames.', None),
            (table.mq, table.vq, 'mq', 'vq', 'Within the library: the quadrants meet at 0.5.', (0.5, 0.5))):
        marks = [Mark(x=a, y=b, name=_short(path, 1), detail=f'{xlabel} {_number(a)}, {ylabel} {_number(b)}', picture=jpeg)
                 for a, b, path, jpeg in zip(x[chosen], y[chosen], paths, jpegs, strict=True)]
        page.figure(plots.scatter(x[chosen], y[chosen], table.quadrant[chosen], xlabel, ylabel, cross=cross),
                    f'{part}{caption} Point at a clip, tap it, or go through them with the Tab key.',
                    f'Scatter of {ylabel} against {xlabel} of {counted(len(chosen), "clip")}', marks)
    page.table(*quadrant_table(table.quadrant))


def _timesteps(page, table, law):
    grid, density = quadrant_densities(table, law)
    sample = f' ({AVERAGED} of them at most)' if len(table.rows) > AVERAGED else ''
    page.section('When the clips will teach', f'The {law.kind} law turns mq and vq into the noise levels at which a clip is drawn: the mean'
                 f' density over the clips of each quadrant{sample}.')
    page.figure(plots.densities(grid, density), 'High t, much noise: motion is decided. Low t, little noise: detail is.',
                'Density of t, one line a quadrant')
    late = {q: density[q][grid > 0.5].sum() / density[q].sum() for q in range(len(QUADRANTS))}
    present = [q for q, _ in BEST_FIRST if np.isfinite(late[q])]
    page.table([[LABELS[q], float(grid @ density[q] / density[q].sum()), f'{late[q]:.0%}'] for q in present],
               ['quadrant', 'mean t', 'drawn at t > 0.5'])


def quadrant_densities(table, law):
    """grid [G] in (0, 1) and density [4, G]: the mean over each quadrant's clips of what their law says, NaN where there are none."""
    grid = (np.arange(400) + 0.5) / 400
    density = np.full((len(QUADRANTS), grid.size), np.nan)
    for q in range(len(QUADRANTS)):
        rows = table.order[table.quadrant[table.order] == q][:AVERAGED]
        if rows.size:
            density[q] = mean_density(lambda clips: law_from_quality(table.mq[clips], table.vq[clips], law), rows, np.ones(rows.size), grid)
    return grid, density


def _sheets(page, table, workers):
    page.section('Best and worst', f'A row a clip: {FRAMES} frames from left to right, and the score. Trust your eyes: what stands wrong '
                 'here is scored wrong.')
    for name, axis in AXES.items():
        scores = getattr(table, name)
        ranked = np.argsort(-scores, kind='stable')
        best, worst = ranked[:(len(ranked) + 1) // 2][:ROWS], ranked[::-1][:len(ranked) // 2][:ROWS]
        for title, chosen in ((f'Most {axis}', best), (f'Least {axis}', worst)):
            if chosen.size:
                values = [f'{axis} {_number(score)}' for score in scores[chosen]]
                page.pictures(title, _pictures(table, chosen, values, FRAMES, workers), strips=True)


def _measures(page, table):
    page.section('Every measure', 'The line below the bars goes from the 5th to the 95th percentile, its dot is the median; half a per '
                 'cent at either end is counted in the last bar. The table says how far each measure ranks clips as the two scores do. '
                 f'Where it was measured, visual quality (the column visual) is {VISUAL_FORMULA}.')
    figures, ranks = [], []
    for name in (*AXES, *table.measures, *filter(table.has, FORMAT + TRUTH)):
        values = table.column(name)
        present = values[np.isfinite(values)]
        if present.size:
            figures.append(_distribution(name, present, values.size - present.size, COLUMNS.get(name)))
            ranks.append([_title(name), COLUMNS[name].axis if name in COLUMNS else '', *(_rank_correlation(values, score) for score in
                                                                             (table.motion, table.visual))])
    page.multiples(figures)
    page.table(ranks, ['measure', 'axis', 'Spearman r with motion', 'with visual quality'])


def _distribution(name, values, missing, measure):
    """(figure, caption, alt) of a measure's finite values."""
    low, median, high, first, last = np.quantile(values, [0.05, 0.5, 0.95, EDGE, 1 - EDGE])
    counts, edges = np.histogram(np.clip(values, first, last), bins=BARS, range=(first, last) if last > first else None)
    caption = (f'{measure.unit}: {measure.meaning}. ' if measure else '') + (
        f'Median {_number(median)}, nine in ten from {_number(low)} to {_number(high)}.')
    caption += f' {counted(missing, "clip has", "clips have")} none.' if missing else ''
    title = _title(name) + (f', {measure.unit}' if measure else '')
    return plots.histogram(title, counts, edges, np.array([low, median, high])), caption, f'Distribution of {title}'


def _title(name):
    """A column by its word on the page."""
    return AXES.get(name, name)


def _rank_correlation(values, score):
    present = np.isfinite(values)
    return correlation(stats.spearmanr, values[present], score[present])


def _duplicates(page, table, workers):
    page.section('Copies and near-duplicates', 'A copy is the same file as another clip, byte for byte: they have one id. Near-duplicates '
                 f'only look and move alike. Among more than {CROWD} that resemble one another, as still clips of one camera do, each is '
                 'compared with some of the others, so that a few may be missing here.')
    ids = np.array([key or '' for key in table.texts('id', np.arange(len(table.rows)))])
    copies = counted(_copies(ids), 'clip is a copy', 'clips are copies') if _copies(ids) else 'No clip is a copy'
    page.text(f'{copies} of another one.')
    if not table.has('fingerprint'):
        page.text('The scores have no fingerprints.')
        return
    groups = near_duplicates(table.texts('fingerprint', np.arange(len(table.rows))))
    if not groups:
        page.text('No two clips look and move alike.')
        return
    alike = sum(map(len, groups))
    page.text(f'{counted(alike, "clip")} look and move like another one, in {counted(len(groups), "group")}: keeping one of each '
              'would drop '
              f'{alike - len(groups)}, of which {sum(_copies(ids[group]) for group in groups)} are copies.'
              + (f' The {GROUPS} largest:' if len(groups) > GROUPS else ''))
    for group in groups[:GROUPS]:
        chosen = group[:MEMBERS]
        values = [f'mq {mq:.2f}, vq {vq:.2f}' for mq, vq in zip(table.mq[chosen], table.vq[chosen], strict=True)]
        copies = _copies(ids[group])
        kind = '' if not copies else ', all copies of one' if copies == len(group) - 1 else f', {copies} of them copies'
        page.pictures(f'{counted(len(group), "clip")}{kind}' + (f', the first {MEMBERS}' if len(group) > MEMBERS else ''),
                      _pictures(table, chosen, values, 1, workers))


def _copies(ids):
    """How many of the clips have an id that one before them has."""
    present = ids[ids != '']
    return present.size - np.unique(present).size


def _reasons(page, table):
    page.section('Clips without scores')
    kinds, first = table.reasons(LISTED)
    if not kinds:
        page.text('Every clip has its scores.')
        return
    page.table([[kind, count] for kind, count in kinds.most_common()], ['reason', 'clips'])
    page.text(f'The first {LISTED}, each with its reason:' if kinds.total() > LISTED else 'Each with its reason:')
    page.table(first, ['clip', 'reason'])


def _pictures(table, chosen, values, frames, workers):
    paths = table.clips_at(chosen)
    return [Picture(jpeg=strip(one), name=_short(path), value=value)
            for path, value, one in zip(paths, values, thumbnails(paths, frames, SIDE, workers), strict=True)]


def _number(value):
    value = round(float(value), 4)
    return f'{value:.3g}' if abs(value) < 1000 else f'{value:.0f}'


def _short(path, parts=2):
    """A clip's file and its folder, by which people know it; of an archive's member its archive and its name there."""
    member = places.member_of(path)
    whole = pathlib.PurePath(pathlib.PurePath(member[0]).name, member[2]) if member else pathlib.PurePath(path)
    return '/'.join(whole.parts[-parts:])
