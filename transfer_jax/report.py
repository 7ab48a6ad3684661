"""report.html of a transfer run, from its results.json alone, and the table that ends a run."""
import json

import numpy as np

from transfer_jax import plots
from transfer_jax.results import SCORED
from transfer_jax.runtime.report import Page

OURS = ('uowq', 'uowq_static', 'uowq_budget')


def read(workdir):
    """results.json as it was written."""
    return json.loads((workdir / 'results.json').read_text())


def shown(pair, digits=3):
    """'0.812 ± 0.004' of (mean, standard error)."""
    mean, error = pair
    return f'{mean:.{digits}f}' + ('' if error is None else f' ± {error:.{digits}f}')


def rows(results, measure='accuracy'):
    """(header, rows) of the table: a method a row, its mean ± standard error on every target and on average."""
    targets = list(results['targets'])
    header = ['method', *targets, 'average', 'negative', 'drawn', 'seconds']
    out = []
    for name, row in results['summary'].items():
        cells = [shown(row['targets'][target][measure]) if target in row['targets'] else '' for target in targets]
        negative = '' if row['negative'] is None else f'{row["negative"]:.2f}'
        out.append([name, *cells, shown(row['average'][measure]), negative, f'{row["drawn"]:.0f}', f'{row["seconds"]:.1f}'])
    return header, out


def table(workdir):
    """The accuracy table as text."""
    header, lines = rows(read(workdir))
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [header, *lines])


def write_report(workdir):
    """Writes report.html beside results.json."""
    results = read(workdir)
    config = results['config']
    page = Page('Multi-source transfer', f'{len(results["targets"])} targets, {config["seeds"]} seeds, {config["data"]["shots"]} labels a class')
    _accuracy(page, results)
    _decisions(page, results)
    _errors(page, results)
    _costs(page, results)
    _data(page, results)
    page.write(workdir / 'report.html')


def _accuracy(page, results):
    regression = results['classes'] is None
    what = 'explained variance' if regression else 'accuracy'
    page.section('Scores', f'{what.capitalize()} on the test rows: mean ± standard error over seeds, after the last step of every fit, never the best '
                           'of several; validation rows choose where a method chooses. "negative" is the part of (target, seed) pairs below '
                           'target only; "drawn" counts training samples of one seed, "seconds" training of all seeds, both over all targets.')
    page.table(*reversed(rows(results)))
    names = list(results['summary'])
    means, errors = zip(*(results['summary'][name]['average']['accuracy'] for name in names), strict=True)
    page.figure(plots.bars(names, means, errors, f'{what}, average over targets', OURS), 'Average over targets; bars are one standard error.',
                f'bars of {what} by method')
    header, lines = rows(results, 'loss')
    page.table([line[:-3] for line in lines], [*header[:-4], 'average loss'])


def _decisions(page, results):
    page.section('What each source counted for', 'Weight of one sample of a source, where one of the target weighs 1, over the steps of a fit.')
    for target, records in results['targets'].items():
        sources = results['sources'][target]
        for name, key, label in (('uowq', 'weights', 'weight'), ('otqms', 'quantities', 'samples')):
            if records.get(name, {}).get('history'):
                history = records[name]['history']
                values = np.array([event[key] for event in history])
                page.figure(plots.weights_over_time(sources, [event['step'] for event in history], values, f'{target}: {name}', label),
                            f'{name} for {target}: mean and standard deviation over seeds.', f'{label} of each source over steps')
        weighted = [name for name in records if records[name]['weights'] is not None]
        cells = [[name, *(f'{w:.3g}' + ('' if n is None else f' x {n:.0f}') for w, n in zip(*_means(records[name]), strict=True))] for name in weighted]
        page.table(cells, [f'target {target}', *(f'{source}: weight x samples' for source in sources)])


def _means(record):
    weights = np.mean(record['weights'], 0)
    return weights, [None] * len(weights) if record['quantities'] is None else np.mean(record['quantities'], 0)


def _errors(page, results):
    points = {}
    for records in results['targets'].values():
        base = records.get('target_only', {}).get('predicted')
        if base is None:
            continue
        for name, record in records.items():
            if record['predicted'] is not None and name != 'target_only':
                loss = [seed['loss'] for seed in record[SCORED]]
                alone = [seed['loss'] for seed in records['target_only'][SCORED]]
                pair = points.setdefault(name, ([], []))
                pair[0].append(float(np.mean(plots.over(record['predicted'], base))))
                pair[1].append(float(np.mean(plots.over(loss, alone))))
    if not points:
        return
    page.section('Predicted and realised', 'A mark a target and method: F predicted from the measured G against the test loss, both over target '
                 'only\'s. The loss has a floor that F has not (what even the best fit of this model cannot predict), so marks lie above the diagonal; '
                 'what should agree is their order, and on which side of 1 they are.')
    page.figure(plots.predicted_against_realised(points), 'Means over seeds.', 'predicted error against test loss')
    curves = {target: tuple(records_curve) for target, records_curve in results.get('pareto', {}).get('curves', {}).items()}
    if curves:
        page.figure(plots.pareto(results['pareto']['fractions'], curves), 'Budget: predicted error of the best weights and quantities for a part of '
                    'the source samples; at 1, UOWQ. Stars: OTQMS, unweighted.', 'predicted error against samples')


def _costs(page, results):
    page.section('Samples and time')
    summary = results['summary']
    whole = summary.get('all_sources')
    page.table([[name, f'{row["drawn"]:.0f}', '' if whole is None else f'{row["drawn"] / max(whole["drawn"], 1):.2f}', f'{row["seconds"]:.2f}',
                 f'{row["shared_seconds"]:.2f}', f'{row["control_seconds"]:.2f}'] for name, row in summary.items()],
               ['method', 'samples drawn', 'of all sources', 'training s', 'shared fits s', 'Fisher and solving s'])
    page.text(f'All seeds side by side on {results["devices"]}, jax {results["jax"]}; compilation is not in these times. The whole run, data, '
              f'compilation and evaluation too, took {results["wall_seconds"]:.0f} s. Shared fits (one a source, the target alone, its folds) are trained once a '
              'target, for all methods that use them.')


def _data(page, results):
    page.section('Data')
    page.table([[name, size] for name, size in results['sizes'].items()], ['domain', 'examples'])
    if results['classes']:
        page.text(f'{len(results["classes"])} classes: {", ".join(results["classes"][:50])}')
    for note in results['notes']:
        page.text(note)
    if results['skipped']:
        page.table([[str(skipped.get('file', '')), str(skipped.get('reason', ''))] for skipped in results['skipped']], ['left out', 'why'])
    page.code(json.dumps(results['config'], indent=1), 'config')
