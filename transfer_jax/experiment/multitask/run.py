"""A multi-task run: every method once, with its results in a store; results.json, report.html and the table."""
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from transfer_jax.experiment.data.domains import Domains
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.multitask.job import solve
from transfer_jax.experiment.multitask.measures import labels_of, trimmed
from transfer_jax.experiment.multitask.pictures import weights_picture
from transfer_jax.experiment.multitask.splits import split
from transfer_jax.experiment.multitask.synthetic import clustered
from transfer_jax.experiment.multitask.tasks import from_domains
from transfer_jax.experiment.scores import predictions
from transfer_jax.experiment.scores.metrics import VALUES, resolve
from transfer_jax.experiment.scores.page import add_calibration, meanings, score_table
from transfer_jax.experiment.scores.page import labels_of as score_labels
from transfer_jax.experiment.scores.predictions import Block, write_predictions
from transfer_jax.experiment.scores.summary import format_pair, mean_and_error
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.job import print_stop
from transfer_jax.runtime.page import Page
from transfer_jax.runtime.paths import AnyPath
from transfer_jax.runtime.progress import Progress, StopRequest
from transfer_jax.runtime.store import Store


def run(config: Any, workdir: AnyPath, facts: Mapping[str, Any]) -> None:
    """Trains every method of config.multitask on the tasks of config.data (each domain a task; the embedded ones without a path)."""
    metrics = resolve(config.multitask.metrics, VALUES if config.data.path is None else config.data.task, 'multitask.metrics')
    domains = clustered() if config.data.path is None else load_domains(config.data, workdir)
    store, records = Store(workdir / 'multitask'), {}
    names = config.multitask.methods
    with StopRequest() as stop, Progress(len(names), label='methods', unit='method') as progress:
        for name in names:
            records[name] = stored(store, name, metrics, config.multitask.predictions)
            if records[name] is None:
                records[name], outputs = solve(dataclasses.replace(config.multitask, methods=(name,)), domains)
                store.save(name, {'outputs': outputs[name]} if config.multitask.predictions else None, records[name])
            progress.update(1, at=name)
            if stop.requested:
                print_stop()
                return
    first, methods = records[names[0]], {name: records[name]['methods'][name] for name in names}
    results = {**facts, **first, 'metrics': list(metrics), 'summary': summary(methods, metrics), 'methods': methods}
    if config.multitask.predictions:
        write_predictions(workdir / predictions.NAME, blocks(config.multitask, domains, store), domains.names, names, domains.classes)
    write_atomically(workdir / 'results.json', json.dumps(results, indent=1).encode())
    write_report(workdir, results)
    for header, lines in (rows(results), by_score(results, 'test_by_task')):
        print('\n'.join('  '.join(str(cell).ljust(24) for cell in line).rstrip() for line in [header, *lines]), end='\n\n')
    print('\n'.join([*results['notes'], f'results: {workdir / "results.json"}', f'report: {workdir / "report.html"}']))


def stored(store: Store, name: str, metrics: Sequence[str], keep: bool) -> dict[str, Any] | None:
    """The record of a method; None where it must be trained: it is absent, was chosen by another score, or lacks a score or its outputs."""
    record = store.record(name)
    entry = {} if record is None else record['methods'][name]
    fits = entry.get('chosen_by') == metrics[0] and set(metrics) <= set(entry['scores']) and (store.has_arrays(name) or not keep)
    return record if fits else None


def blocks(section: Any, domains: Domains, store: Store) -> Iterator[Block]:
    """The Blocks of predictions, task by task of one method after the other."""
    tasks = from_domains(domains)
    part = split(tasks, section.seeds, section.train, section.validation)['test']
    starts, labels = np.cumsum([0, *(len(domain) for domain in domains.domains)]), labels_of(tasks, part)
    shape = (*part.index.shape, 1 if domains.classes is None else len(domains.classes))
    for method in section.methods:
        outputs = trimmed(store.load(method, {'outputs': jax.ShapeDtypeStruct(shape, np.float32)})['outputs'], part)
        for number, name in enumerate(domains.names):
            rows = [index[number, :count[number]] - starts[number] for index, count in zip(part.index, part.count, strict=True)]
            yield Block(target=name, method=method, seeds=section.seeds, rows=rows, labels=[one[number] for one in labels],
                        outputs=[one[number] for one in outputs])


def summary(methods: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """{method: {score: {'test', 'test_by_task': (mean, standard error) over splits}}}."""
    return {name: {metric: {key: mean_and_error(record['scores'][metric][key]) for key in ('test', 'test_by_task')} for metric in metrics}
            for name, record in methods.items()}


def rows(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(header, rows): a method a row, mean ± standard error over splits."""
    header = ['method', f'test {results["measure"]}', 'mean over tasks', 'seconds']
    pair = lambda values: format_pair(mean_and_error(values), 4)
    return header, [[name, pair(record['test']), pair(record['test_by_task']), f'{record["seconds"]:.0f}']
                    for name, record in results['methods'].items()]


def by_score(results: Mapping[str, Any], key: str) -> tuple[list[str], list[list[str]]]:
    """(header, rows) of all scores: a method a row; key: 'test', over all examples, or 'test_by_task'."""
    pairs = {name: {metric: both[key] for metric, both in scores.items()} for name, scores in results['summary'].items()}
    header, lines = score_table(pairs, results['metrics'], score_labels(results['metrics']), 4)
    return ['mean over tasks' if key == 'test_by_task' else 'over all examples', *header[1:]], lines


def write_report(workdir: AnyPath, results: Mapping[str, Any]) -> None:
    """report.html: the tables, calibration of classes, and W where a method has one."""
    page = Page('Multi-task learning', f'{counted(len(results["names"]), "task")}, {counted(len(results["seeds"]), "split")}')
    page.section('Scores')
    measure = results['measure']
    page.text(f'{measure[0].upper()}{measure[1:]} on the test rows: mean ± standard error over splits; variant, decay and step of each '
              'method are chosen on validation rows by this score, and the choice is scored once.')
    header, lines = rows(results)
    page.table(lines, header)
    page.text(f'All scores of the same predictions, over all examples and as a mean over tasks. '
              f'{meanings(results["metrics"], results["positive"])} {" ".join(results["notes"])}')
    for key in ('test', 'test_by_task'):
        page.table(*reversed(by_score(results, key)))
    of_classes = {name: record['calibration'] for name, record in results['methods'].items() if record['calibration'] is not None}
    add_calibration(page, {name: [one['bins']] for name, one in of_classes.items()},
                    {name: one['errors'] for name, one in of_classes.items()}, results['positive'])
    page.section('Weights between tasks')
    page.text('W of the first split: weight of one example of the task in the column in the likelihood of the task in the row, whose own '
              'examples weigh 1. Colours are logarithmic; a cell without colour has weight 0.')
    for name, record in results['methods'].items():
        if record['weights'] is not None:
            _add_weights(page, name, record['weights'], results['names'])
    page.section('Config')
    page.code(json.dumps(results['config'], indent=1), 'config')
    page.write(workdir / 'report.html')


def _add_weights(page, name, weights, names):
    figure = weights_picture(np.array(weights), names)
    if figure is None:
        page.text(f'{name}: all weights between two tasks are 0.')
    else:
        page.figure(figure, name, f'matrix of task weights of {name}')
