"""The transfer job: trains a target with few labels on what its sources are worth, beside the baselines; or many tasks at once.

    python -m transfer_jax.main --config=configs/transfer.py --workdir=runs/transfer [--config.KEY=VALUE ...]
    python -m transfer_jax.main --config=configs/multitask.py --workdir=runs/multitask
"""
import json
import time

import jax

from transfer_jax.experiment.config import schema_of
from transfer_jax.experiment.job import prepare, record_config
from transfer_jax.experiment.methods.registry import NEED_GRAM
from transfer_jax.experiment.multitask.run import run as run_multitask
from transfer_jax.experiment.outcomes import keep_outcome, keep_plan, leftover_lines, write_predictions
from transfer_jax.experiment.planned import NO_GRAM, summary_line
from transfer_jax.experiment.report import table, write_report
from transfer_jax.experiment.results import positive_name, write_results
from transfer_jax.experiment.scores.metrics import METRICS
from transfer_jax.runtime.app import define_flags, run_app
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.job import machine, print_stop, run_mode
from transfer_jax.runtime.parallel.gather import gathered
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.progress import Progress, Stopped, StopRequest

define_flags('runs/transfer')


def main(config, workdir):
    """Runs the job that config.mode names, in its folder."""
    run_mode({'transfer': transfer, 'multitask': multitask}, config.mode, config, workdir)


def transfer(config, workdir):
    """Runs every method on every target. Finished methods are saved, so the same command continues after a stop.

    Of several processes each takes targets in turn, on its own devices; the first collects what they saved.
    """
    began = time.perf_counter()
    job = prepare(config, workdir)
    for skipped in job.domains.skipped:
        print(' '.join(f'{key}: {value}' for key, value in skipped.items()))
    print('\n'.join(job.notes), end='\n' if job.notes else '')
    mine = job.targets[jax.process_index()::jax.process_count()]
    stopped = run_targets(job, mine)
    if any(gathered([stopped])):
        print_stop()
        return
    first_host(finish, job, began)


def run_targets(job, targets):
    """Runs every method on some of the targets; whether a request stopped it."""
    with StopRequest() as stop, Progress(len(targets) * len(job.methods), label='methods', unit='method') as progress:
        try:
            for target in targets:
                run_target(job, job.lab(target, stop), progress)
        except Stopped:
            return True
    return False


def finish(job, began):
    """results.json and the report, of what the methods saved."""
    records, curves, plans, workdir = {}, {}, {}, job.workdir
    with StopRequest() as stop, Progress(0, process=1) as silent:
        for target in job.targets:
            name = job.domains.names[target]
            records[name], curves[name], plans[name] = run_target(job, job.lab(target, stop), silent)
    facts = {**machine(), 'wall_seconds': time.perf_counter() - began, 'config': json.loads((workdir / 'config.json').read_text()),
             'plan': {name: plan for name, plan in plans.items() if plan is not None},
             'sizes': {domain.name: len(domain) for domain in job.domains.domains},
             'notes': [*job.notes, *(() if measures_gram(job) else (NO_GRAM,))],
             'classes': job.domains.classes and list(job.domains.classes), 'positive': positive_name(job.domains),
             'skipped': list(job.domains.skipped),
             'pareto': {name: curve for name, curve in curves.items() if curve is not None},
             'sources': {job.domains.names[target]: [job.domains.names[source] for source in job.sources if source != target]
                         for target in job.targets}}
    if job.config.transfer.predictions:
        write_predictions(job)
    write_results(workdir / 'results.json', records, facts, job.metrics)
    write_report(workdir)
    print(f'{METRICS[job.metrics[0]].label} on the test rows, mean ± standard error over '
          f'{counted(job.config.seeds, "seed")}:\n{table(workdir)}')
    print('\n'.join([*([summary_line(name, plan) for name, plan in facts['plan'].items()] or [NO_GRAM]), *leftover_lines(job)]))
    print(f'results: {workdir / "results.json"}\nreport: {workdir / "report.html"}')


def multitask(config, workdir):
    """Every task source and target at once: one problem, which the first of several processes solves."""
    first_host(_multitask, config, workdir)


def _multitask(config, workdir):
    record_config(config, workdir)
    run_multitask(config, workdir, {**machine(), 'config': to_json(config)})


def measures_gram(job):
    """Whether a method of the job measures G."""
    return bool(set(job.methods) & set(NEED_GRAM))


def run_target(job, lab, progress):
    """({method: record}, budget curve or None, plan or None) of the target of a lab."""
    records = {}
    for name in job.methods:
        records[name] = keep_outcome(job, lab, name)
        progress.update(1, at=f'{job.domains.names[lab.target]} {name}')
    plan, curve = keep_plan(lab, measures_gram(job))
    return records, curve, plan


if __name__ == '__main__':
    run_app(main, schema_of)
