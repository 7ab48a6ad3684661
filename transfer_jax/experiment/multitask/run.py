"""A multi-task run: every method once, with its results in a store; results.json, report.html and the table."""
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.multitask.job import multitask
from transfer_jax.experiment.multitask.synthetic import clustered
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.job import print_stop
from transfer_jax.runtime.page import Page
from transfer_jax.runtime.paths import AnyPath
from transfer_jax.runtime.progress import Progress, StopRequest
from transfer_jax.runtime.store import Store

MAX_LABELS = 40  # more tasks than this have no names beside the picture of W


def run(config: Any, workdir: AnyPath, facts: Mapping[str, Any]) -> None:
    """Trains every method of config.multitask on the tasks of config.data (each domain a task; the embedded ones without a path)."""
    domains = clustered() if config.data.path is None else load_domains(config.data, workdir)
    store, records = Store(workdir / 'multitask'), {}
    names = config.multitask.methods
    with StopRequest() as stop, Progress(len(names), label='methods', unit='method') as progress:
        for name in names:
            records[name] = store.record(name)
            if records[name] is None:
                records[name] = multitask(dataclasses.replace(config.multitask, methods=(name,)), domains)
                store.save(name, None, records[name])
            progress.update(1, at=name)
            if stop.requested:
                print_stop()
                return
    results = {**facts, **records[names[0]], 'methods': {name: records[name]['methods'][name] for name in names}}
    write_atomically(workdir / 'results.json', json.dumps(results, indent=1).encode())
    write_report(workdir, results)
    header, lines = rows(results)
    print('\n'.join('  '.join(str(cell).ljust(24) for cell in line).rstrip() for line in [header, *lines]))
    print(f'results: {workdir / "results.json"}\nreport: {workdir / "report.html"}')


def rows(results: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """(header, rows): a method a row, mean ± standard error over splits."""
    header = ['method', f'test {results["measure"]}', 'mean over tasks', 'seconds']
    return header, [[name, _format(record['test']), _format(record['test_by_task']), f'{record["seconds"]:.0f}']
                    for name, record in results['methods'].items()]


def _format(values):
    """'0.8123 ± 0.0045' of values over splits."""
    error = '' if len(values) == 1 else f' ± {np.std(values, ddof=1) / np.sqrt(len(values)):.4f}'
    return f'{np.mean(values):.4f}{error}'


def write_report(workdir: AnyPath, results: Mapping[str, Any]) -> None:
    """report.html: the table, and W where a method has one."""
    page = Page('Multi-task learning', f'{len(results["names"])} tasks, {len(results["seeds"])} splits')
    page.section('Scores')
    page.text(f'{results["measure"].capitalize()} on the test rows: mean ± standard error over splits; variant, decay and step of each '
              'method are chosen on validation rows, and the choice is scored once.')
    header, lines = rows(results)
    page.table(lines, header)
    page.section('Weights between tasks')
    page.text('W of the first split: weight of one example of the task in the column in the likelihood of the task in the row, whose own '
              'examples weigh 1.')
    for name, record in results['methods'].items():
        if record['weights'] is not None:
            page.figure(_mixture(np.array(record['weights']), results['names']), f'{name}', f'matrix of task weights of {name}')
    page.section('Config')
    page.code(json.dumps(results['config'], indent=1), 'config')
    page.write(workdir / 'report.html')


def _mixture(weights, names):
    """W as a picture, its diagonal left out of the colours' range."""
    figure = Figure(figsize=(5, 4.4), layout='constrained')
    axes = figure.subplots()
    others = weights[~np.eye(len(weights), dtype=bool)]
    image = axes.imshow(weights, vmin=0, vmax=max(float(others.max()), 1e-9), cmap='Blues', interpolation='nearest')
    figure.colorbar(image, ax=axes, shrink=0.8)
    if len(names) <= MAX_LABELS:
        axes.set(yticks=range(len(names)), yticklabels=names, xticks=range(len(names)))
        axes.set_xticklabels(names, rotation=90)
    axes.tick_params(labelsize=6)
    return figure
