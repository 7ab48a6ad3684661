"""The run's page: report.html in the work directory, made of what lies there; a part that is missing is said to be missing."""
import json
import pathlib

import numpy as np
import pyarrow.parquet
from scipy import stats

from tqd_jax import plots
from tqd_jax.quality.law import QUADRANTS, quadrant
from transfer_jax.runtime.metrics import read_metrics
from transfer_jax.runtime.report import Page

MEANING = {'golden': 'moves well, looks good', 'motion': 'moves well, looks poor', 'look': 'looks good, hardly moves', 'poor': 'neither'}
LISTED = 50  # skipped clips shown


def write_report(workdir):
    """Writes workdir/report.html and returns its path.

    Reads scores.parquet, skipped.jsonl, drawn.npz, evaluation.jsonl, metrics.jsonl, samples.json, samples/, summary.json, config.json:
    each may be missing.
    """
    workdir = pathlib.Path(workdir)
    summary, config = _json(workdir / 'summary.json'), _json(workdir / 'config.json')
    scores = _scores(workdir / 'scores.parquet')
    skipped, metrics = read_metrics(workdir / 'skipped.jsonl'), read_metrics(workdir / 'metrics.jsonl')
    evaluations = read_metrics(workdir / 'evaluation.jsonl')
    page = Page(f'TQD report: {workdir.resolve().name}', _subtitle(summary))
    _glance(page, summary, scores, skipped, metrics, evaluations)
    _data(page, scores)
    _timesteps(page, workdir / 'drawn.npz')
    _losses(page, evaluations, summary)
    _training(page, metrics, evaluations)
    _samples(page, workdir)
    _skipped(page, skipped, scores)
    _config(page, config)
    page.write(workdir / 'report.html')
    return workdir / 'report.html'


def _subtitle(summary):
    parts = {'law': 'law {}', 'steps': '{} steps', 'devices': '{}', 'jax': 'JAX {}', 'python': 'Python {}'}
    return ' · '.join(text.format(summary[key]) for key, text in parts.items() if key in summary)


def _glance(page, summary, scores, skipped, metrics, evaluations):
    facts = {}
    if scores:
        facts |= {'clips': len(scores['clip']), 'skipped': len(skipped), 'golden': f'{np.mean(scores["kind"] == 3):.0%}',
                  'Pearson r, motion and look': _shown(_correlation(stats.pearsonr, scores['motion'], scores['visual']))}
    if 'parameters' in summary:
        facts['parameters'] = f'{summary["parameters"] / 1e6:.3g} M'
    if evaluations:
        facts['validation loss'] = ' → '.join(dict.fromkeys(f'{_mean_loss(line):.4f}' for line in (evaluations[0], evaluations[-1])))
    speed = _series(metrics, 'examples_per_second')[1]
    if speed.size:
        facts['clips a second'] = f'{np.median(speed):.3g}'
    page.section('At a glance', 'Each clip is scored for motion and for look; its scores choose the noise levels at which it teaches. '
                 'Clips that move well teach most at high noise, where motion is decided, clips that look good at low noise.')
    if facts:
        page.facts(facts)
    else:
        page.text('There is nothing in the folder yet.')


def _data(page, scores):
    page.section('The clips: motion and look')
    if not scores:
        page.text('No clips have been scored: there is no scores.parquet.')
        return
    motion, visual, kind = scores['motion'], scores['visual'], scores['kind']
    r, rho = (_shown(_correlation(test, motion, visual)) for test in (stats.pearsonr, stats.spearmanr))
    page.text(f'{len(motion)} clips. Motion and look correlate by Pearson r = {r} and Spearman r = {rho}.')
    raw = plots.scatter(motion, visual, kind, 'motion', 'look')
    page.figure(raw, 'Scores as measured on the decoded frames.', f'Scatter of look against motion of {len(motion)} clips, Pearson r = {r}')
    normal = plots.scatter(scores['mq'], scores['vq'], kind, 'mq', 'vq', cross=(0.5, 0.5))
    page.figure(normal, 'The same, normalised to [0, 1]; the thresholds of the quadrants are at 0.5.', 'Scatter of vq against mq by quadrant')
    rows = [[name, MEANING[name], int(np.sum(kind == q)), f'{np.mean(kind == q):.1%}'] for q, name in reversed([*enumerate(QUADRANTS)])]
    page.table(rows, ['quadrant', 'its clips', 'clips', 'share'])
    _truth(page, scores)


def _truth(page, scores):
    pairs = [(name, scores[truth], scores[score]) for name, truth, score in (
        ('motion', 'true_motion', 'motion'), ('look', 'true_look', 'visual')) if truth in scores]
    if pairs:
        ranks = ', '.join(f'{_shown(_correlation(stats.spearmanr, truth, score))} for {name}' for name, truth, score in pairs)
        page.text(f'The truth of these clips is known. Spearman correlation of the scores with it: {ranks}.')


def _timesteps(page, path):
    page.section('When the clips teach')
    if not path.exists():
        page.text('No timesteps have been drawn yet: there is no drawn.npz.')
        return
    with np.load(path) as file:
        counts, grid, density = file['counts'], file['grid'], file['law_density']
    page.text(f'{counts.sum()} timesteps as training drew them (area) against the laws of the clips of each quadrant, averaged by how '
              'often the clips are drawn (line).')
    heights = counts * counts.shape[1] / np.maximum(1, counts.sum(axis=1, keepdims=True))
    top = 1.25 * max(heights.max(), np.nanmax(np.append(np.nanquantile(density, 0.97), 1)))
    for q, name in reversed([*enumerate(QUADRANTS)]):
        if counts[q].sum():
            gap = _largest_gap(counts[q], grid, density[q])
            page.figure(plots.timesteps(name, counts[q], grid, density[q], top),
                        f'{name}: {counts[q].sum()} draws; the cumulated shares differ by at most {gap:.3f}.',
                        f'Histogram of drawn timesteps and density of the law, {name} clips')
        else:
            page.text(f'No {name} clip was drawn.')


def _largest_gap(counts, grid, density):
    """Largest difference of the two cumulative distributions at the edges of the bins (grid: midpoints of equal cells)."""
    law = np.concatenate([[0], np.cumsum(density)]) / density.sum()
    edges = np.linspace(0, 1, counts.size + 1)
    return np.abs(np.cumsum(counts) / counts.sum() - np.interp(edges[1:], np.linspace(0, 1, grid.size + 1), law)).max()


def _losses(page, evaluations, summary):
    page.section('Where the model has learned')
    if not evaluations:
        page.text('No evaluation yet: there is no evaluation.jsonl.')
        return
    first, last = (np.array(line['loss'], float) for line in (evaluations[0], evaluations[-1]))
    steps = evaluations[0]['step'], evaluations[-1]['step']
    clips = int(np.max(np.sum(evaluations[-1]['count'], axis=0)))
    own = '; the library is too small to hold clips back, so these are training clips' if summary.get('validates_on_training_clips') else ''
    page.text(f'Loss of {clips} validation clips by noise level and quadrant, with the averaged weights and always the same noise{own}.')
    dashed = f'Step {steps[1]} (solid) and step {steps[0]} (dashed).' if steps[0] != steps[1] else f'Step {steps[1]}.'
    page.figure(plots.loss_lines(first, last, steps), dashed, 'Validation loss by noise level, one line a quadrant')
    if steps[0] != steps[1]:
        page.figure(plots.loss_change(first, last), f'From step {steps[0]} to step {steps[1]}; below zero is better.',
                    'Change of the validation loss by quadrant and noise level')


def _training(page, metrics, evaluations):
    page.section('Training')
    steps, loss = _series(metrics, 'loss')
    if not steps.size:
        page.text('No training metrics: metrics.jsonl is missing or has none.')
        return
    marks = {'validation': ([line['step'] for line in evaluations], [_mean_loss(line) for line in evaluations])} if evaluations else {}
    page.figure(plots.curve(steps, loss, 'loss', marks=marks), 'Training loss, weighted by the laws; validation loss, even in t.', 'Loss by step')
    shown = {'learning_rate': ('learning rate', 'Learning rate.'), 'examples_per_second': ('clips a second', 'Speed.'),
             'wait_share': ('share of time', 'Share of the time spent waiting for data.')}
    for name, (label, caption) in shown.items():
        at, values = _series(metrics, name)
        if at.size:
            page.figure(plots.curve(at, values, label), caption, f'{label} by step')


def _samples(page, workdir):
    page.section('Samples')
    record, videos = _json(workdir / 'samples.json'), sorted((workdir / 'samples').glob('*.mp4'))
    if not record and not videos:
        page.text('No samples yet.')
        return
    captions = record.get('captions', [])
    for number, path in enumerate(videos):
        page.video(path, captions[number] if number < len(captions) else path.stem)
    for name, caption in (('sheet', 'Samples, a row each, frames from left to right.'), ('data', 'Clips of the data, for comparison.')):
        if (workdir / 'samples' / f'{name}.png').exists():
            page.image(workdir / 'samples' / f'{name}.png', caption, alt=caption)
    groups = {name: (record[name]['motion'], record[name]['visual']) for name in ('data', 'samples') if name in record}
    if groups:
        page.figure(plots.compare(groups, 'motion', 'look'), 'Scores of the samples among those of the data.', 'Scatter of look against motion')
        page.table([[name, len(x), float(np.mean(x)), float(np.mean(y))] for name, (x, y) in groups.items()],
                   ['group', 'clips', 'mean motion', 'mean look'])


def _skipped(page, skipped, scores):
    page.section('Skipped clips')
    if not skipped:
        page.text('No clip was skipped.' if scores else 'Nothing is known of skipped clips: no clips have been scored.')
        return
    page.text(f'{len(skipped)} files could not be used' + (f'; the first {LISTED} of them:' if len(skipped) > LISTED else ':'))
    page.table([[line.get('clip', ''), line.get('reason', '')] for line in skipped[:LISTED]], ['file', 'reason'])


def _config(page, config):
    page.section('Config')
    if config:
        page.code(json.dumps(config, indent=2), 'All keys of this run')
    else:
        page.text('There is no config.json.')


def _scores(path):
    """{column: array} of scores.parquet and each clip's quadrant as 'kind'; {} without the file or without clips."""
    table = pyarrow.parquet.read_table(path).to_pydict() if path.exists() else {'clip': []}
    if not table['clip']:
        return {}
    names = ('motion', 'visual', 'mq', 'vq', 'true_motion', 'true_look')
    columns = {name: np.array(table[name], float) for name in names if name in table and None not in table[name]}
    return {'clip': table['clip'], **columns, 'kind': quadrant(columns['mq'], columns['vq'])}


def _series(metrics, name):
    rows = [(line['step'], line[name]) for line in metrics if line.get(name) is not None]
    return tuple(np.array(rows, float).reshape(-1, 2).T)


def _mean_loss(line):
    """Mean of an evaluation over clips; empty cells count for nothing."""
    loss, count = np.array(line['loss'], float), np.array(line['count'], float)
    return np.nansum(loss * count) / max(1.0, count[np.isfinite(loss)].sum())


def _correlation(test, x, y):
    """A correlation coefficient of scipy.stats, or None where it is not defined."""
    return float(test(x, y).statistic) if len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0 else None


def _shown(value):
    return 'undefined' if value is None else f'{value:.2f}'


def _json(path):
    return json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
