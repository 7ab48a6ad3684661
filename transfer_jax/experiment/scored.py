"""The report's sections on all scores beside the main one, and on calibration, of a transfer run's results.json."""
from collections.abc import Mapping
from typing import Any

from transfer_jax.experiment.scores.page import add_calibration, as_text, labels_of, meanings, score_table
from transfer_jax.experiment.scores.summary import mean_over_first
from transfer_jax.runtime.page import Page


def add_sections(page: Page, results: Mapping[str, Any]) -> None:
    """Adds the sections; that on calibration where the data have classes."""
    _all_scores(page, results, results['metrics'])
    if results['classes'] is not None:
        records = {name: [targets[name] for targets in results['targets'].values() if name in targets] for name in results['summary']}
        bins = {name: [record['calibration']['bins'] for record in of_targets] for name, of_targets in records.items()}
        errors = {name: mean_over_first([record['calibration']['errors'] for record in of_targets]).tolist()
                  for name, of_targets in records.items()}
        add_calibration(page, bins, errors, results['positive'])


def _all_scores(page, results, metrics):
    page.section('All scores')
    page.text('Averages over targets on the same test rows, mean ± standard error over seeds. ' + meanings(metrics, results['positive']))
    average = {name: row['average'] for name, row in results['summary'].items()}
    page.table(*reversed(score_table(average, metrics, labels_of(metrics))))
    targets = list(results['targets'])
    if len(targets) > 1:
        for metric in metrics[1:]:
            by_target = {name: {target: scores[metric] for target, scores in row['targets'].items()}
                         for name, row in results['summary'].items()}
            page.code(as_text(*score_table(by_target, targets, targets)), f'{labels_of([metric])[0]}, by target')
