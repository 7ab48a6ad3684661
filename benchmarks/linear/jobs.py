"""Linear transfer jobs by steps of Adam and by exact fits, beside scikit-learn's LogisticRegression on the same rows.

    python -m benchmarks.linear DATA [NAME:SEEDS[:TARGET,...] ...]       all sets with 5 seeds, or those that are named

DATA holds digits4/ and office_caltech10/surf800/; the embedded digits need no file, and the sentiment-like set is made
(benchmarks/linear/sentiment.py). Jobs that are finished in runs/linear are not run again.
"""
import importlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from benchmarks.linear import sentiment
from benchmarks.linear.by_scikit_learn import Rows, cross_validated, fitted
from benchmarks.timing import write_page
from transfer_jax.experiment.config import TransferConfig
from transfer_jax.experiment.data.load import load_domains
from transfer_jax.experiment.job import resolved, source_scaling
from transfer_jax.experiment.results import mean_and_error
from transfer_jax.runtime.app import overridden
from transfer_jax.runtime.paths import path_of

METHODS = ('target_only', 'all_sources', 'cv_global', 'uowq_static', 'uowq', 'wadn')
CHECKED = METHODS[:5]  # each a fit at weights and a prior
RUNS = pathlib.Path('runs/linear')
SETS = {'digits4': ('configs/digits4.py', 'digits4/digits4_16x16.npz', ()),
        'office_caltech': ('configs/office_caltech.py', 'office_caltech10/surf800', ()),
        'embedded': ('configs/transfer.py', None, ()),
        'sentiment': ('configs/transfer.py', RUNS.absolute() / 'reviews', ('--config.data.shots=25',))}
SOLVERS = ('adam', 'exact')
CROSS_VALIDATED = ('office_caltech', 'embedded', 'sentiment')  # by scikit-learn too: on digits4 that takes many minutes


def main(data, *sets):
    """Runs the jobs and writes benchmarks/results/linear.md."""
    lines = [*OPENING]
    for one in sets or [f'{name}:5' for name in SETS]:
        name, *rest = one.split(':')
        if name == 'sentiment' and not SETS[name][1].exists():
            sentiment.main(SETS[name][1])
        jobs = {solver: run_job(name, solver, data, *rest) for solver in SOLVERS}
        lines += section(name, rest, jobs, by_scikit_learn(name, data, *rest))
    write_page('linear', 'Linear fits: Adam, exact, scikit-learn', lines, pathlib.Path('benchmarks/results'))


def flags(name, data, seeds, targets=''):
    """The command line of a set's job, but for its solver and folder."""
    config, path, more = SETS[name]
    where = [] if path is None else [f'--config.data.path={pathlib.Path(data) / path}']
    few = [f'--config.targets={tuple(targets.split(","))}'] if targets else []
    return [f'--config={config}', *where, *more, *few, f'--config.seeds={seeds}', f'--config.transfer.methods={METHODS}']


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
    """{'fits': {method: (accuracies [T] of the first seed, those of the exact job, seconds of one fit)},
    'cv': (target, accuracy, seconds, the exact job's accuracy)}.

    Each fit has the weights and the prior that the exact job chose; cv is of the first target alone.
    """
    folder, config = RUNS / f'{name}-exact', config_of(name, data, *rest)
    domains, splits = load_domains(config.data, path_of(folder), sparse=True), json.loads((folder / 'splits.json').read_text())
    records = json.loads((folder / 'results.json').read_text())['targets']
    fits, cv = {method: ([], [], []) for method in CHECKED}, None
    for target in splits:
        numbers = [number for number, other in enumerate(domains.names) if other != target]
        rows = Rows(domains, source_scaling(resolved(config, domains)[0], domains, numbers), target, splits[target][0])
        for method, (theirs, ours, seconds) in fits.items():
            prior = json.loads((folder / 'targets' / target / f'{method}.json').read_text())['prior'][0]
            score, second = fitted(rows, records[target][method]['weights'][0], prior, tolerance=1e-7)
            theirs.append(score)
            seconds.append(second)
            ours.append(records[target][method]['test'][0]['accuracy'])
        if cv is None and name in CROSS_VALIDATED:
            cv = target, *cross_validated(rows, config.train.priors[::2]), records[target]['cv_global']['test'][0]['accuracy']
    fits = {method: (np.array(theirs), np.array(ours), float(np.mean(seconds))) for method, (theirs, ours, seconds) in fits.items()}
    return {'fits': fits, 'cv': cv}


def config_of(name, data, *rest):
    """The TransferConfig of a set's job."""
    first, *words = flags(name, data, *rest)
    module = first.removeprefix('--config=').removesuffix('.py').replace('/', '.')
    return overridden(importlib.import_module(module).get_config(), words, TransferConfig)


def section(name, rest, jobs, reference):
    """The lines of one set, from its jobs and by_scikit_learn's reference."""
    cell = lambda values: '{:.3f} ± {:.3f}'.format(*mean_and_error(values))
    mean = lambda solver, method: np.mean([[seed['accuracy'] for seed in records[method]['test']]
                                           for records in jobs[solver]['results']['targets'].values()], 0)
    summary = lambda solver, method: jobs[solver]['results']['summary'][method]
    spent = lambda solver, method: f'{sum(summary(solver, method)[key] for key in ("seconds", "shared_seconds", "control_seconds")):.0f}'
    count = len(jobs['exact']['results']['targets']) * jobs['exact']['results']['config']['seeds']
    fits = reference['fits']
    beside = lambda method: [f'{fits[method][0].mean():.3f} / {fits[method][1].mean():.3f}', f'{fits[method][2] * count:.1f}']
    negative = lambda solver, method: f'{summary(solver, method)["negative"]:.2f}'
    of = lambda method: [*(cell(mean(solver, method)) for solver in SOLVERS), cell(mean('exact', method) - mean('adam', method)),
                         *(show(solver, method) for show in (negative, spent) for solver in SOLVERS),
                         *(beside(method) if method in fits else ['', ''])]
    header = ['method', *SOLVERS, 'exact - adam', *(f'negative, {solver}' for solver in SOLVERS), *(f's, {solver}' for solver in SOLVERS),
              'scikit-learn / exact, first seed', 's, scikit-learn']
    table = ['| ' + ' | '.join(cells) + ' |' for cells in (header, ['---'] * len(header), *([method, *of(method)] for method in METHODS))]
    times = '; '.join(f'{solver} {job["cpu"]:.0f} s' for solver, job in jobs.items())
    furthest = max(float(np.abs(theirs - ours).max()) for theirs, ours, _ in fits.values())
    return [f'## {name}', '', f'`{":".join([name, *rest])}`: {len(jobs["exact"]["results"]["targets"])} targets, '
            f'{jobs["exact"]["results"]["config"]["seeds"]} seeds.', '', *table, '',
            f'CPU of the whole job with imports and compilation: {times}. On a target, scikit-learn and the exact job differ by at most '
            f'{furthest:.4f} in accuracy.' + (by_folds(*reference['cv'], count) if reference['cv'] else ''), '']


def by_folds(target, theirs, seconds, ours, count):
    """The sentence on scikit-learn's cross-validation."""
    return (f' One weight and C by cross-validation in scikit-learn (target {target}, first seed): {theirs:.3f} in {seconds:.1f} s '
            f'of CPU, {seconds * count:.0f} s for {count} such; cv_global of the exact job there: {ours:.3f}.')


OPENING = """\
Accuracy on test rows, averaged over the targets: mean ± standard error over seeds, each its own split; "exact - adam" is seed by seed.
negative: part of (target, seed) pairs below target only of the same solver. Adam has the config's prior and early stopping; exact fits
have the prior that folds of the target choose (train.priors). s: of a method's own fits, those that it shares with others, and its
decisions, all targets and seeds, by the clock of a machine that several jobs shared; methods share fits, so the column does not add up.
scikit-learn: LogisticRegression with sample_weight at the weights and the prior of the exact job, tol 1e-7, one thread, the first seed of
every target; seconds are of CPU, for as many fits as there are targets and seeds. Its cross-validation has the folds and weights of
cv_global and every second of its priors (the smallest log-loss wins), tol 1e-4, each fit from zero.
""".splitlines()
