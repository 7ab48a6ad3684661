"""Study 4: every claim of the theory of transfer against refitted models, case by case; the page shows all saved cases.

    python -m benchmarks.studies --config=configs/studies/theory.py --workdir=runs/theory
"""
import functools
import pathlib
import time

import jax

from benchmarks.studies.theory.cases import growth, orders, predicted_orders, threshold
from benchmarks.studies.theory.debiased import SCENARIOS, debiasing
from benchmarks.studies.theory.results import write
from benchmarks.studies.theory.worlds import MODELS
from transfer_jax.runtime.config import differences, to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.job import machine_line, print_stop
from transfer_jax.runtime.progress import Progress, StopRequest
from transfer_jax.runtime.store import Store

VERSION = 1  # raise it when a case's figures change: a folder holds cases of one version
SOURCES = 3  # where d changes
THRESHOLDS = (0.25, 0.4, 0.5, 0.55, 0.6, 0.75, 1.0, 2.0, 4.0)  # N0 G of one source
PREDICTED = 2000  # random problems of each K, solved only


def main(config, workdir, flags=None):
    """Runs what is missing and writes theory.md, theory.json and pictures.

    flags: {key: value} of the config that the command line named, for the page.

    Raises UserError where workdir holds cases of another seed or version: all else is in a case's name, so more cases may be added.
    """
    store, settings = Store(pathlib.Path(workdir) / 'theory'), to_json(config)
    settings, settings_record = {'seed': settings['seed']} | settings['theory'], {'seed': settings['seed'], 'version': VERSION}
    if changed := differences(store.record('settings') or settings_record, settings_record):
        raise UserError(f'{store.directory} holds a study of other settings ({changed[0]}); name another --workdir')
    store.save('settings', None, settings_record)
    todo = jobs(config)
    if not run_missing(store, todo):
        print_stop()
        return
    records = {name: store.record(name) for name in todo}
    path = write(pathlib.Path(config.results), pathlib.Path(config.images), settings, flags or {}, records)
    print(f'page: {path}')


def run_missing(store, todo):
    """Runs every job without a record and saves its record; False where the user stopped it."""
    missing = [name for name in todo if store.record(name) is None]
    progress = Progress(len(todo), start=len(todo) - len(missing), label='theory', unit='case')
    with jax.enable_x64(True), StopRequest() as stop, progress:
        for name in missing:
            began = time.perf_counter()
            record = todo[name]()
            store.save(name, None, record | {'seconds': time.perf_counter() - began, 'machine': machine_line()})
            progress.update(at=name)
            if stop.requested:
                return False
    return True


def jobs(config):
    """{name: function that returns a record}, in order; a job's numbers depend on its name and the seed alone."""
    seed, theory, functions = config.seed, config.theory, {}
    ratios = sorted(theory.ratios)
    runs = lambda d: max(10, 5 * theory.runs // d)

    def add(kind, function, *args):
        functions['/'.join(map(str, (kind, *args))).replace(' ', '_')] = functools.partial(function, seed, *args)
    low, high = ratios[(len(ratios) - 1) // 3], ratios[-1]
    for sources in sorted({*theory.sources, SOURCES}):
        add('predicted', predicted_orders, sources, PREDICTED)
    for model in theory.models:
        cases = [(d, SOURCES, ratio) for d in theory.dimensions for ratio in ratios]
        cases += [(20, sources, ratio) for sources in theory.sources for ratio in (low, high)]
        for d, sources, ratio in dict.fromkeys(cases):
            add('growth', growth, model, d, sources, ratio, runs(d))
        for distance in THRESHOLDS:
            add('threshold', threshold, model, distance, high, runs(20) * (1 if MODELS[model] else 40))
        for sources in theory.sources:
            add('orders', orders, model, 10, sources, theory.instances, max(20, theory.runs // 10))
        for d, part in ((10, 4), (100, 4), (1000, 4)) if model == 'mean' else ((20, 4), (100, 16)):
            for scenario in SCENARIOS:
                add('debiasing', debiasing, model, d, scenario, max(20, theory.runs // part))
    return functions
