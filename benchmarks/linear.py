"""Linear transfer jobs by steps of Adam and by exact fits, beside scikit-learn's LogisticRegression on the same rows.

    python -m benchmarks.linear DATA [NAME:SEEDS[:TARGET,...] ...]       all sets with 5 seeds, or those that are named

DATA holds digits4/ and office_caltech10/surf800/; the embedded digits need no file. Jobs that are finished in
runs/linear are not run again.
"""
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.timing import write_page
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.job import resolved, source_scaling
from transfer_jax.experiment.results import mean_and_error
from transfer_jax.experiment.training.prepare import normalise
from transfer_jax.runtime.app import overridden
from transfer_jax.runtime.paths import path_of

METHODS = ('target_only', 'all_sources', 'cv_global', 'uowq_static', 'uowq', 'wadn')
SETS = {'digits4': ('configs/digits4.py', 'digits4/digits4_16x16.npz'),
        'office_caltech': ('configs/office_caltech.py', 'office_caltech10/surf800'), 'embedded': ('configs/transfer.py', None)}
SOLVERS, RUNS = ('adam', 'exact'), pathlib.Path('runs/linear')


def main(data, *sets):
    """Runs the jobs and writes benchmarks/results/linear.md."""
    lines = [*OPENING]
    for one in sets or [f'{name}:5' for name in SETS]:
        name, *rest = one.split(':')
        jobs = {solver: run_job(name, solver, data, *rest) for solver in SOLVERS}
        lines += section(name, jobs, by_scikit_learn(name, data, *rest))
    write_page('linear', 'Linear fits: Adam, exact, scikit-learn', lines, pathlib.Path('benchmarks/results'))


def flags(name, data, seeds, targets=''):
    """The command line of a set's job, but for its solver and folder."""
    config, path = SETS[name]
    where = [] if path is None else [f'--config.data.path={pathlib.Path(data) / path}']
    few = [f'--config.targets={tuple(targets.split(","))}'] if targets else []
    return [f'--config={config}', *where, *few, f'--config.seeds={seeds}', f'--config.transfer.methods={METHODS}']


def run_job(name, solver, data, *rest):
    """{results, cpu: seconds of all cores} of a job, run or found."""
    folder = RUNS / f'{name}-{solver}'
    if not (folder / 'cpu.json').exists():
        command = [sys.executable, '-m', 'transfer_jax.main', *flags(name, data, *rest), f'--workdir={folder}',
                   f'--config.train.solver={solver}']
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f'{" ".join(command)} ended with status {status}')
        (folder / 'cpu.json').write_text(json.dumps(usage.ru_utime + usage.ru_stime))
    return {'results': json.loads((folder / 'results.json').read_text()), 'cpu': json.loads((folder / 'cpu.json').read_text())}


def by_scikit_learn(name, data, *rest):
    """{method: (accuracies [T] of the first seed's targets, those of the exact job's fits, seconds of one fit)} on the same rows.

    Each fit has the weights and the prior that the exact job chose, with scikit-learn's own tolerance.
    """
    folder, config = RUNS / f'{name}-exact', config_of(name, data, *rest)
    domains, splits = load_domains(config.data, path_of(folder)), json.loads((folder / 'splits.json').read_text())
    records = json.loads((folder / 'results.json').read_text())['targets']
    out = {method: ([], [], []) for method in ('target_only', 'all_sources', 'cv_global')}
    for target in splits:
        inputs = prepared(config, domains, target)
        for method, (theirs, ours, seconds) in out.items():
            prior = json.loads((folder / 'targets' / target / f'{method}.json').read_text())['prior'][0]
            began = time.process_time()
            theirs.append(accuracy(domains, inputs, target, splits[target][0], records[target][method]['weights'][0], prior))
            seconds.append(time.process_time() - began)
            ours.append(records[target][method]['test'][0]['accuracy'])
    return {method: (np.array(theirs), np.array(ours), float(np.mean(seconds))) for method, (theirs, ours, seconds) in out.items()}


def config_of(name, data, *rest):
    """The TransferConfig of a set's job."""
    first, *words = flags(name, data, *rest)
    module = first.removeprefix('--config=').removesuffix('.py').replace('/', '.')
    return overridden(importlib.import_module(module).get_config(), words, TransferConfig)


def prepared(config, domains, target):
    """{name: features [n, F], float64} of all domains, scaled as the job of a target does."""
    numbers = [number for number, name in enumerate(domains.names) if name != target]
    scaling = source_scaling(resolved(config, domains)[0], domains, numbers)
    flat = lambda domain: np.asarray(normalise(np.asarray(domain.inputs), scaling), np.float64).reshape(len(domain), -1)
    return {domain.name: flat(domain) for domain in domains.domains}


def accuracy(domains, inputs, target, split, weights, prior):
    """Accuracy on the test rows of scikit-learn's fit to the target's training rows and to every source at its weight."""
    used = [(domains[name], weight) for name, weight in zip((n for n in domains.names if n != target), weights, strict=True) if weight > 0]
    x = np.concatenate([inputs[target][split['train']], *(inputs[domain.name] for domain, _ in used)])
    y = np.concatenate([domains[target].labels[split['train']], *(domain.labels for domain, _ in used)])
    weight = np.concatenate([np.ones(len(split['train'])), *(np.full(len(domain), w) for domain, w in used)])
    with threadpool_limits(1, 'blas'), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # where 5000 iterations are too few
        model = LogisticRegression(C=1 / prior, tol=1e-7, max_iter=5000).fit(x, y, sample_weight=weight)
    return model.score(inputs[target][split['test']], domains[target].labels[split['test']])


def section(name, jobs, reference):
    """The lines of one set, from its jobs and by_scikit_learn's reference."""
    cell = lambda values: '{:.3f} ± {:.3f}'.format(*mean_and_error(values))
    mean = lambda solver, method: np.mean([[seed['accuracy'] for seed in records[method]['test']]
                                           for records in jobs[solver]['results']['targets'].values()], 0)
    negative = lambda solver, method: f'{jobs[solver]["results"]["summary"][method]["negative"]:.2f}'
    beside = lambda method: [f'{reference[method][0].mean():.3f} / {reference[method][1].mean():.3f}', f'{reference[method][2]:.1f}']
    of = lambda method: [*(cell(mean(solver, method)) for solver in SOLVERS), cell(mean('exact', method) - mean('adam', method)),
                         *(negative(solver, method) for solver in SOLVERS), *(beside(method) if method in reference else ['', ''])]
    rows = [[method, *of(method)] for method in METHODS]
    header = ['method', *SOLVERS, 'exact - adam', *(f'negative, {solver}' for solver in SOLVERS),
              'scikit-learn / exact, first seed', 's of its fit']
    times = '; '.join(f'{solver} {job["cpu"]:.0f} s of CPU' for solver, job in jobs.items())
    furthest = max(float(np.abs(theirs - ours).max()) for theirs, ours, _ in reference.values())
    table = ['| ' + ' | '.join(cells) + ' |' for cells in (header, ['---'] * len(header), *rows)]
    seeds = jobs['exact']['results']['config']['seeds']
    return [f'## {name}', '', f'{seeds} seeds.', '', *table, '', f'Whole job with its compilation: {times}. On a target, scikit-learn and '
            f'the exact job differ by at most {furthest:.4f} in accuracy.', '']


OPENING = """\
Accuracy on test rows, averaged over every domain as the target: mean ± standard error over seeds, each its own split; "exact - adam" is
seed by seed. negative: part of (target, seed) pairs below target only of the same solver. Adam has the config's prior and early stopping;
exact fits have the prior that folds of the target choose (train.priors). scikit-learn: LogisticRegression with sample_weight at the
weights and the prior of the exact job, tol 1e-7, one thread, the first seed of every target; seconds are of its CPU.
""".splitlines()


if __name__ == '__main__':
    main(*sys.argv[1:])
