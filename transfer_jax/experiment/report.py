"""report.html of a transfer run, from its results.json alone, and the table that ends a run."""
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from transfer_jax.experiment import plots, scored
from transfer_jax.experiment.plan_page import add_plan
from transfer_jax.experiment.results import FRACTIONS, SCORE_PART
from transfer_jax.experiment.scores.metrics import METRICS
from transfer_jax.experiment.scores.page import as_text
from transfer_jax.experiment.scores.summary import format_pair
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.page import Page
from transfer_jax.runtime.paths import AnyPath

OURS = ('uowq', 'uowq_static', 'uowq_budget')


def read_results(workdir: AnyPath) -> dict[str, Any]:
    """The content of results.json."""
    return json.loads((workdir / 'results.json').read_text())


def rows(results: Mapping[str, Any], measure: str | None = None) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of the table: a method a row, its mean ± standard error on average and on every target; None: of the main score."""
    measure = results['metrics'][0] if measure is None else measure
    targets = list(results['targets'])
    header = ['method', 'average', *targets, 'negative', 'drawn', 'seconds']
    out = []
    for name, row in results['summary'].items():
        cells = [format_pair(row['targets'][target][measure]) if target in row['targets'] else '' for target in targets]
        negative = '' if row['negative'] is None else f'{row["negative"]:.2f}'
        out.append([name, format_pair(row['average'][measure]), *cells, negative, f'{row["drawn"]:.0f}', f'{row["seconds"]:.1f}'])
    return header, out


def table(workdir: AnyPath) -> str:
    """The table of the main score as text."""
    header, lines = rows(read_results(workdir))
    return as_text(header, lines)


def write_report(workdir: AnyPath) -> None:
    """Writes report.html beside results.json."""
    results = read_results(workdir)
    config = results['config']
    page = Page('Multi-source transfer', ', '.join([counted(len(results['targets']), 'target'), counted(config['seeds'], 'seed'),
                                                    counted(config['data']['shots'], 'label') + (' a '
                                                                                                 'class' if results['classes'] else '')]))
    for part in (add_plan, _scores, scored.add_sections, _decisions, _errors, _pareto, _costs, _data):
        part(page, results)
    page.write(workdir / 'report.html')


def _scores(page, results):
    main = results['metrics'][0]
    what = METRICS[main].label
    page.section('Scores')
    page.text(f'{what[0].upper()}{what[1:]} on the test rows: mean ± standard error over seeds, after the last step of every fit, '
              'never the best of several; validation rows choose where a method chooses. "negative" is the part of (target, '
              'seed) pairs below target only; "drawn" counts the training samples of one seed, "seconds" the training of all seeds, '
              'both over all targets.')
    page.table(*reversed(rows(results)))
    known = {name: row['average'][main] for name, row in results['summary'].items() if row['average'][main][0] is not None}
    if known:
        means, errors = zip(*known.values(), strict=True)
        page.figure(plots.bars(list(known), means, errors, f'{what}, average over targets', OURS),
                    'Average over targets; bars are one standard error.', f'bars of {what} by method')
    page.text('The same rows\' loss (-log p of the label; half the squared error for a regression):')
    header, lines = rows(results, 'loss')
    page.table([line[:-3] for line in lines], header[:-3])


def _decisions(page, results):
    page.section('Weights of the sources')
    page.text('Weight of one sample of a source, where one of the target weighs 1, times how many samples take part. Where the fits on '
              'folds say for a seed that no source helps, its weights are 0.')
    for target, records in results['targets'].items():
        sources = results['sources'][target]
        with_weights = [name for name in records if records[name]['weights'] is not None]
        page.table([[name, *_cells(records[name])] for name in with_weights], [f'target {target}', *sources])
        for name, key, label in (('uowq', 'weights', 'weight'), ('otqms', 'quantities', 'samples')):
            history = records.get(name, {}).get('history')
            if history:
                values = np.array([event[key] for event in history])
                figure = plots.weights_over_time(sources, [event['step'] for event in history], values, f'{target}: {name}', label)
                page.figure(figure, f'{name} for {target}: mean and standard deviation over seeds.', f'{label} of each source over steps')


def _cells(record):
    """'0.12 x 800' for each source, means over seeds."""
    weights = np.mean(record['weights'], 0)
    if record['quantities'] is None:
        return [f'{weight:.3g}' for weight in weights]
    return [f'{weight:.3g} x {count:.0f}' for weight, count in zip(weights, np.mean(record['quantities'], 0), strict=True)]


def _errors(page, results):
    points = {}
    for records in results['targets'].values():
        base = records.get('target_only', {}).get('predicted')
        for name, record in records.items() if base is not None else ():
            if record['predicted'] is not None and name != 'target_only':
                loss, alone = ([seed['loss'] for seed in records[which][SCORE_PART]] for which in (name, 'target_only'))
                errors, losses = points.setdefault(name, ([], []))
                errors.append(float(np.mean(plots.over(record['predicted'], base))))
                losses.append(float(np.mean(plots.over(loss, alone))))
    if points:
        page.section('Predicted and realised')
        page.text('A mark a target and method: F predicted from the measured G, and the test loss, both over target only\'s. The loss '
                  'has a floor that F does not have (the loss of the best fit of this model), so it varies less; the order of the marks '
                  'should agree, and the side of 1 on which each lies.')
        page.figure(plots.prediction_against_loss(points), 'Means over seeds.', 'predicted error against test loss')


def _pareto(page, results):
    if results['pareto']:
        page.section('Budget')
        page.text('What a limit on the source samples costs: predicted F of the best weights and quantities for a part of all samples '
                  '(by their costs); at 1 that is UOWQ. Stars: OTQMS, which takes few samples, unweighted.')
        curves = {name: (curve['errors'], (curve['otqms_part'], curve['otqms_error'])) for name, curve in results['pareto'].items()}
        page.figure(plots.pareto(FRACTIONS, curves), 'Means over seeds, over target only.', 'predicted error against samples')


def _costs(page, results):
    summary = results['summary']
    whole = summary['all_sources']['drawn'] if 'all_sources' in summary else 0
    page.section('Samples and time')
    part = lambda row: [f'{row["drawn"] / whole:.2f}'] if whole else []
    page.table([[name, f'{row["drawn"]:.0f}', *part(row), *(f'{row[key]:.2f}' for key in ('seconds', 'shared_seconds', 'control_seconds'))]
                for name, row in summary.items()],
               ['method', 'samples drawn', *(['of all sources'] if whole else []), 'training s', 'shared fits s', 'Fisher and solving s'])
    page.text(f'All seeds side by side on {results["devices"]}, jax {results["jax"]}; compilation is not in these times. The whole run, '
              f'with data, compilation and evaluation, took {results["wall_seconds"]:.0f} s. Shared fits (each source, the target alone, '
              'its folds and the trials on them) are trained once a target, for all methods that use them.')


def _data(page, results):
    page.section('Data')
    page.table([[name, size] for name, size in results['sizes'].items()], ['domain', 'examples'])
    if results['classes']:
        page.text(f'{counted(len(results["classes"]), "class", "classes")}: {", ".join(results["classes"][:50])}')
    for note in results['notes']:
        page.text(note)
    if results['skipped']:
        page.table([[str(skipped.get('file', '')), str(skipped.get('reason', ''))] for skipped in results['skipped']], ['left out', 'why'])
    page.code(json.dumps(results['config'], indent=1), 'config')
