"""The transfer benchmarks' page: every method on every target of finished runs, from their results.json alone.

    python -m benchmarks.transfer runs/digits4 runs/office_caltech runs/pacs
"""
import json
import pathlib
import sys

import numpy as np

from benchmarks.timing import write_page
from transfer_jax.experiment.report import rows
from transfer_jax.experiment.results import SCORE_PART, mean_and_error

CLASSIC = ('target_only', 'all_sources', 'otqms')  # UOWQ must equal the best of them


def main(folders):
    """Writes docs/results/transfer.md."""
    lines = [*OPENING]
    for folder in folders:
        lines += section(pathlib.Path(folder).name, json.loads((pathlib.Path(folder) / 'results.json').read_text()))
    write_page('transfer', 'Transfer from several sources to few labels', lines, pathlib.Path('docs/results'))


def section(name, results):
    """The lines of one benchmark."""
    config = results['config']
    header, table = rows(results)
    markdown = lambda cells: '| ' + ' | '.join(cells) + ' |'
    return [f'## {name}', '', f'`python -m transfer_jax.main --config=configs/{name}.py --workdir=runs/{name} --config.data.path=...`', '',
            f'{config["data"]["shots"]} labels a class, seeds {config["seed"]} to {config["seed"] + config["seeds"] - 1}, model '
            f'{config["model"]["kind"]} ({config["model"]["trainable"]} trained); {results["devices"]}, jax {results["jax"]}; '
            f'{results["wall_seconds"]:.0f} s in all, on one of two busy cores. Examples: '
            + ', '.join(f'{domain} {size}' for domain, size in results['sizes'].items()) + '.', '',
            markdown(header), markdown(['---'] * len(header)), *map(markdown, table), '',
            *verdicts(results), '', *costs(results), '']


def verdicts(results):
    """The expectations, and whether they held."""
    targets, summary = results['targets'], results['summary']
    best = max(CLASSIC, key=lambda method: summary[method]['average']['accuracy'][0])
    gain, error = accuracy_gain([targets[target] for target in targets], 'uowq', best)
    lines = [f'UOWQ against the best of target only, all sources and OTQMS on average ({best}), seed by seed: {gain:+.3f} ± {error:.3f}. '
             f'{"Held" if gain >= -error else "Did not hold"}: at least as good within one standard error.']
    apart = {target: accuracy_gain([targets[target]], 'uowq', 'target_only') for target in targets}
    worse = [target for target, (gain, error) in apart.items() if gain < -error]
    listed = ', '.join(f'{target} {gain:+.3f} ± {error:.3f}' for target, (gain, error) in apart.items())
    return [*lines, f'UOWQ less target only: {listed}. ' + (f'Negative transfer on {", ".join(worse)}.' if worse else
                                                             'Held: nowhere more than one standard error below it.')]


def accuracy_gain(records, method, other):
    """(mean, standard error) over seeds of the difference in accuracy, averaged over targets."""
    accuracy = lambda name: np.mean([[seed['accuracy'] for seed in record[name][SCORE_PART]] for record in records], 0)
    return mean_and_error(accuracy(method) - accuracy(other))


def costs(results):
    """Samples and time of OTQMS against all sources, and what measuring costs."""
    summary = results['summary']
    whole, few, ours = (summary[name] for name in ('all_sources', 'otqms', 'uowq'))
    less = lambda key: f'{100 * (1 - few[key] / whole[key]):.0f} %'
    trained = ours['seconds'] + ours['shared_seconds']
    return [f'OTQMS drew {less("drawn")} fewer samples than all sources in its final fit, which took {few["seconds"]:.1f} s instead of '
            f'{whole["seconds"]:.1f} s ({less("seconds")} less); the fits that G is measured from took {few["shared_seconds"]:.1f} s, '
            'for all seeds and targets and for all methods that use G. Fisher products, debiasing and solving took '
            f'{ours["control_seconds"]:.2f} s of UOWQ\'s {trained:.1f} s of training ({100 * ours["control_seconds"] / trained:.1f} %).']


OPENING = """\
Mean ± standard error over seeds (each its own split, start and draws) of the accuracy on test rows, by the parameters after the last
step. Validation rows choose the source of single_source and nothing else; UOWQ and OTQMS choose by fits on folds of the training rows.
An average over targets is taken seed by seed. negative: part of (target, seed) pairs below target only. drawn: rows, repeats
counted, that one seed's final fits drew over all targets, the target's among them; no fit has fewer than 200 steps; seconds: the final
fits of all seeds and targets, without compilation and without the fits that measuring takes.

otqms_published is the paper's algorithm as written (theta_0 where the fit stands, G as it comes); under, exact and over are its static
variants with theta_0 trained for 0.1, 1 and 5 times the steps, on our G; otqms and uowq decide again four times in a fit. uowq_budget
may draw from a quarter of the source samples. MCW, H-ensemble and WADN are our own implementations; features of a linear model are its
outputs. Learning rates and priors were chosen on other seeds (5000 and on) of the same data, for all methods together; the estimator
was developed on digits4 and office_caltech with seeds from 0 on of another splitter and 1000 on of this one: rows overlap, splits do
not.
""".splitlines()


if __name__ == '__main__':
    main(sys.argv[1:])
