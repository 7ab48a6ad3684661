"""report.html: the page of a run, from the files in its work directory; it says which parts are missing."""
import json
import pathlib

import numpy as np
from scipy import stats

from tqd_jax.report import plots
from tqd_jax.report.changes import changes
from tqd_jax.report.comparison import comparison
from tqd_jax.report.gradients import alignment, learned_law
from tqd_jax.report.results import LISTED, read_results
from tqd_jax.report.samples import samples
from tqd_jax.report.speed import speed, time_spent
from tqd_jax.timesteps.quadrants import LABELS, QUADRANTS
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.page import Page

MEANING = {'golden': 'moves well and looks good', 'motion': 'moves well, looks poor', 'visual': 'looks good, hardly moves',
           'poor': 'neither'}
LOSS_OF_TRAINING_CLIPS = 'loss on training clips (too few to hold any out)'
BEST_FIRST = tuple(reversed([*enumerate(QUADRANTS)]))


def write_report(workdir):
    """Writes workdir/report.html from the run's files (see Results) and returns its path."""
    run = read_results(workdir)
    page = Page(f'TQD report: {run.folder.resolve().name}', _subtitle(run.summary))
    for section in (comparison, _glance, changes, _clips, _timesteps, _losses, alignment, learned_law, _training, samples, _skipped,
                    _config):
        section(page, run)
    page.write(run.folder / 'report.html')
    return run.folder / 'report.html'


def _subtitle(summary):
    parts = {'law': 'law: {}', 'steps': '{} steps', 'devices': '{}', 'jax': 'JAX {}', 'python': 'Python {}'}
    return ' · '.join(text.format(summary[key]) for key, text in parts.items() if key in summary)


def _glance(page, run):
    page.section('At a glance', 'Each clip is scored for motion and for visual quality; its scores choose the noise levels at which it '
                 'teaches: high noise, where motion is decided, for clips that move well; low noise for clips that look good. An '
                 'evaluation weighs all noise levels equally and training does not, so its loss may rise: see "Where the model has '
                 'learned".')
    facts = {}
    if run.scores:
        golden = run.scores['quadrant'] == QUADRANTS.index('golden')
        facts |= {'clips': len(golden), 'skipped': run.skipped, 'golden': f'{golden.mean():.0%}',
                  'Pearson r of motion and visual quality': correlation(stats.pearsonr, run.scores['motion'], run.scores['visual'])}
    if 'parameters' in run.summary:
        facts['parameters'] = parameters(run.summary)
    facts |= weights(run.config)
    if run.evaluations:
        facts[f'{_loss_name(run)}, first and last'] = f'{run.evaluations[0].mean:.3g}, {run.evaluations[-1].mean:.3g}'
    facts |= speed(run)
    if facts:
        page.facts(facts)


def parameters(summary):
    """'1.3 B, of which 11.8 M are trained', of a run's summary."""
    text = lambda count: f'{count / 1e9:.3g} B' if count >= 1e9 else f'{count / 1e6:.3g} M'
    whole, trained = summary['parameters'], summary.get('trained', summary['parameters'])
    return text(whole) if trained == whole else f'{text(whole)}, of which {text(trained)} are trained'


def weights(config):
    """{'weights': ..., 'trained': ...} of a run on published weights; {} of another."""
    wan = config.get('wan', {})
    if not wan.get('path'):
        return {}
    expert = f', expert {wan["expert"]}' if wan.get('expert') else ''
    how = config['train']['trained']
    how = f'LoRA of rank {config["lora"]["rank"]}' if how == 'lora' else 'in full' if how == 'full' else how
    return {'weights': pathlib.PurePath(wan['path'].removeprefix('asset:')).name + expert, 'trained': how}


def _loss_name(run):
    return LOSS_OF_TRAINING_CLIPS if run.summary.get('validates_on_training_clips') else 'validation loss'


def _clips(page, run):
    page.section('The clips: motion and visual quality')
    if not run.scores:
        page.text('No clips have been scored: there is no scores.parquet.')
        return
    motion, visual, kind = run.scores['motion'], run.scores['visual'], run.scores['quadrant']
    r, rho = correlation(stats.pearsonr, motion, visual), correlation(stats.spearmanr, motion, visual)
    page.text(f'Motion and visual quality of {counted(len(motion), "clip")} correlate by Pearson r = {r}, Spearman r = {rho}. '
              f'{_truth(run.scores)}')
    page.figure(plots.scatter(motion, visual, kind, 'motion', 'visual quality'), 'As measured on the decoded frames.',
                f'Scatter of visual quality against motion of {counted(len(motion), "clip")}, Pearson r = {r}')
    page.figure(plots.scatter(run.scores['mq'], run.scores['vq'], kind, 'mq', 'vq', cross=(0.5, 0.5)),
                'Normalised to [0, 1]: mq and vq choose the law. The quadrants meet at 0.5.', 'Scatter of vq against mq by quadrant')
    page.table(*quadrant_table(kind))


def quadrant_table(quadrant):
    """(rows, heading) of the number and the share of clips in each quadrant, of quadrant int [N]."""
    rows = [[LABELS[q], MEANING[name], int(np.sum(quadrant == q)), f'{np.mean(quadrant == q):.1%}'] for q, name in BEST_FIRST]
    return rows, ['quadrant', 'its clips', 'number', 'share']


def _truth(scores):
    pairs = {name: (scores[truth], scores[score]) for name, truth, score in (
        ('motion', 'true_motion', 'motion'), ('visual quality', 'true_visual', 'visual')) if truth in scores}
    ranks = ', '.join(f'{correlation(stats.spearmanr, *pair)} for {name}' for name, pair in pairs.items())
    return ranks and f'The truth is known here, and the scores follow it by Spearman r = {ranks}.'


def _timesteps(page, run):
    page.section('When the clips teach')
    if not run.drawn:
        page.text('No timesteps have been drawn yet: there is no drawn.npz.')
        return
    counts, grid, density = (run.drawn[name] for name in ('counts', 'grid', 'law_density'))
    page.text(f'{counted(counts.sum(), "timestep")} as they were drawn (area), and the law of each quadrant: the mean over its '
              'clips by how often '
              'they are drawn (line).')
    highest = np.max(counts * counts.shape[1] / np.maximum(1, counts.sum(axis=1, keepdims=True)))
    has_law = counts.any(axis=1) & np.isfinite(density).all(axis=1)  # all clips of a quadrant may be gone since they were drawn
    top = 1.3 * max(1, highest, *np.quantile(density[has_law], 0.97, axis=1))
    for q, name in BEST_FIRST:
        if counts[q].any():
            gap = (f'the two cumulated shares differ by at most {largest_gap(counts[q], density[q]):.3f}' if has_law[q]
                   else 'there is no clip of this quadrant any more')
            page.figure(plots.timesteps(name, counts[q], grid, density[q], top), f'{counts[q].sum()} draws of {LABELS[q]} clips; {gap}.',
                        f'Histogram of drawn timesteps and density of the law, {LABELS[q]} clips')
    missing = [LABELS[q] for q, _ in BEST_FIRST if not counts[q].any()]
    if missing:
        page.text(f'Never drawn: {", ".join(missing)} clips.')


def largest_gap(counts, density):
    """Largest difference, at the edges of equal bins of [0, 1], of two cumulated shares: counts [BINS], density [G] on equal cells."""
    law = np.concatenate([[0], np.cumsum(density)]) / density.sum()
    edges = np.linspace(0, 1, counts.size + 1)[1:]
    return float(np.abs(np.cumsum(counts) / counts.sum() - np.interp(edges, np.linspace(0, 1, law.size), law)).max())


def _losses(page, run):
    page.section('Where the model has learned')
    if not run.evaluations:
        page.text('No evaluation yet: there is no evaluation.jsonl.')
        return
    first, last = run.evaluations[0], run.evaluations[-1]
    own = ' The library is too small to hold any back: these are training clips.' if run.summary.get('validates_on_training_clips') else ''
    page.text(f'Loss of {counted(round(last.count.sum(axis=0).max()), "validation clip")} by noise and quadrant, of the averaged '
              'weights, always with '
              f'the same noise.{own} Where a quadrant teaches, above, its loss should fall; where only others teach, it may rise.')
    both = first.step != last.step
    page.figure(plots.loss_lines(first.loss if both else None, last.loss), f'Step {last.step}' + (
        f' (solid) and step {first.step} (dashed).' if both else '.'), 'Validation loss by noise, one line a quadrant')
    if both:
        page.figure(plots.loss_change(first.loss, last.loss), f'From step {first.step} to step {last.step}; below zero is better.',
                    'Change of the validation loss by quadrant and noise')
        page.text(f'The loss at step {first.step} and at step {last.step}, by quadrant and by t, the middle of a noise bin:')
        page.table(*loss_rows(first, last))


def loss_rows(first, last):
    """(rows, heading) of two Evaluations: 'before → after' by quadrant and noise bin.

    A bin without clips, or outside an expert's part of t, is empty.
    """
    pair = lambda q, j: f'{first.loss[q, j]:.4f} → {last.loss[q, j]:.4f}' if np.isfinite(last.loss[q, j]) else ''
    bins = last.loss.shape[1]
    rows = [[LABELS[q], *(pair(q, j) for j in range(bins))] for q, _ in BEST_FIRST if np.isfinite(last.loss[q]).any()]
    return rows, ['quadrant', *(f't = {(j + 0.5) / bins:.2f}' for j in range(bins))]


def _training(page, run):
    page.section('Training')
    steps, loss = run.series('loss')
    if not steps.size:
        page.text('No step has been logged: metrics.jsonl is missing or has none.')
        return
    marks = [one.step for one in run.evaluations], [one.mean for one in run.evaluations]
    page.figure(plots.curve(steps, loss, 'loss', marks), 'Loss: in training at the timesteps of the laws, in validation at even ones.',
                'Training and validation loss by step')
    curves = {'learning_rate': ('learning rate', 'Learning rate.'), 'examples_per_second': ('clips a second', 'Speed.'),
             'wait_share': ('share of the time waiting', 'Share of the time spent waiting for data.')}
    for name, (label, caption) in curves.items():
        at, values = run.series(name)
        if at.size:
            page.figure(plots.curve(at, values, label), caption, f'{label} by step')
    time_spent(page, run)


def _skipped(page, run):
    page.section('Skipped clips')
    if not run.skipped:
        page.text('No clip was skipped.' if run.scores else 'No clips have been scored.')
        return
    page.text(f'{counted(run.skipped, "file")} could not be used' + (f'; the first {LISTED}:' if run.skipped > LISTED else ':'))
    page.table([[line['clip'], line['reason']] for line in run.listed], ['file', 'reason'])


def _config(page, run):
    page.section('Config')
    if run.config:
        page.code(json.dumps(run.config, indent=2), 'Every key of this run')
    else:
        page.text('There is no config.json.')


def correlation(test, x, y):
    """A correlation coefficient of scipy.stats to two digits, or 'undefined' for fewer than three clips or equal scores."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 'undefined'
    return f'{test(x, y).statistic:.2f}'
