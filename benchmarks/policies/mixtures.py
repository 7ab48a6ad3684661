"""Which part of a policy decides: the mixture of the sources (UOWQ's, WADN's, even) or their total in units of the target's samples.

    python -m benchmarks.policies.mixtures DATA [NAME:SEEDS[:TARGET,...] ...]       all sets with 10 seeds, or those that are named

DATA as for benchmarks.linear. Fits that are finished in runs/mixtures are not run again.
"""
import pathlib
import sys
import types

import jax.numpy as jnp
import numpy as np

from benchmarks.linear.jobs import SETS, config_of
from benchmarks.timing import write_page
from transfer_jax.experiment.job import prepare
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.experiment.results import SCORE_PART, mean_and_error, scores

TOTALS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the sources' effective samples, in units of N0; WADN's is 1
RUNS = pathlib.Path('runs/mixtures')


def main(data, *sets):
    """Runs the fits and writes benchmarks/results/mixtures.md."""
    lines = [*OPENING]
    for one in sets or [f'{name}:10' for name in SETS if name != 'sentiment']:
        name, *rest = one.split(':')
        job = prepare(config_of(name, data, *rest), _folder(RUNS / name))
        targets = {job.domains.names[target]: of_target(job, target) for target in job.targets}
        lines += section(name, job, targets)
    write_page('mixtures', 'Mixture and total', lines, pathlib.Path('benchmarks/results'))


def _folder(path):
    path.mkdir(parents=True, exist_ok=True)
    return path


def of_target(job, target):
    """({policy: accuracy [S]}, UOWQ's total over N0 [S])."""
    lab = job.lab(target, types.SimpleNamespace(requested=False))
    methods = {name: METHODS[name](lab) for name in ('target_only', 'all_sources', 'uowq_static', 'wadn')}
    accuracy = {name: score(lab, outcome.outputs) for name, outcome in methods.items()}
    measurement = lab.measure_sources()[0].replace(shortfall=jnp.ones(len(lab.splits)))
    amounts = np.asarray(measurement.weights().weights) * lab.sizes
    fit = lambda name, amounts, of=lab: score(of, of.outputs(of.fit(f'v_{name}', of.policy(amounts / of.sizes)).params))
    accuracy['UOWQ without folds'] = fit('uowq_tau1', amounts)
    shares = {'UOWQ': amounts / amounts.sum(1, keepdims=True), 'WADN': methods['wadn'].weights * lab.sizes / lab.target_size,
              'even': np.full(amounts.shape, 1 / len(lab.sources))}
    for name, share in shares.items():
        for total in TOTALS:
            accuracy[f'{name}, {total:g}'] = fit(f'{name.lower()}_x{total:g}', share * lab.target_size * total)
    return accuracy, amounts.sum(1) / lab.target_size


def score(lab, outputs):
    """Accuracy [S] on the test rows of outputs [S, n, C]."""
    return np.array([scores(out, lab.labels, getattr(split, SCORE_PART), lab.classes)['accuracy']
                     for out, split in zip(outputs, lab.splits, strict=True)])


def section(name, job, targets):
    """The lines of one set."""
    cell = lambda values: '{:.3f} ± {:.3f}'.format(*mean_and_error(values))
    stack = lambda policy: np.stack([accuracy[policy] for accuracy, _ in targets.values()])
    alone, reference = stack('target_only'), stack('uowq_static').mean(0)
    row = lambda policy, values: [policy, *(f'{x:.3f}' for x in values.mean(1)), cell(values.mean(0)), cell(values.mean(0) - reference),
                                  f'{np.mean(values < alone):.2f}']
    rows = [row(policy, stack(policy)) for policy in next(iter(targets.values()))[0]]
    header = ['policy', *targets, 'average', 'less uowq_static', 'below target only']
    table = ['| ' + ' | '.join(cells) + ' |' for cells in (header, ['---'] * len(header), *rows)]
    totals = ', '.join(f'{target} {np.median(total):.2f}' for target, (_, total) in targets.items())
    facts = f'Seeds 0 to {job.config.seeds - 1}. Total of UOWQ without folds over N0, median: {totals}.'
    return [f'## {name}', '', facts, '', *table, '']


OPENING = ['Accuracy on test rows, mean over seeds; ± one standard error where an average over targets is taken seed by seed. In',
           '"UOWQ, 0.5" the sources have the mixture that UOWQ without folds (shortfall 1) gives them, and count as 0.5 N0 samples',
           'of the target together. The mixture of WADN is its last one.', '']

if __name__ == '__main__':
    main(*sys.argv[1:])
