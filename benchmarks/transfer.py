"""The transfer benchmarks' page: every method on every target of finished runs, from their results.json alone.

    python -m benchmarks.transfer runs/digits4 runs/office_caltech runs/pacs runs/pacs_lite0 runs/transfer
"""
import json
import pathlib
import sys

import numpy as np

from benchmarks.timing import write_page
from transfer_jax.experiment.report import rows
from transfer_jax.experiment.results import SCORE_PART, mean_and_error

FLAGS = {'pacs_lite0': 'configs/transfer.py --config.seeds=10 --config.data.columns=standard --config.data.path=...',
         'transfer': 'configs/transfer.py --config.seeds=10'}
SHOWN = ('target_only', 'cv_global', 'wadn', 'otqms', 'uowq')
NOWHERE = 'Held: nowhere more than one standard error below it.'
SHARE = 0.05  # of (target, seed) pairs below target only that is wanted at most


def main(folders):
    """Writes docs/results/transfer.md."""
    found = {pathlib.Path(folder).name: json.loads((pathlib.Path(folder) / 'results.json').read_text()) for folder in folders}
    lines = [*OPENING, *across(found)]
    for name, results in found.items():
        lines += section(name, results)
    write_page('transfer', 'Transfer from several sources to few labels', lines, pathlib.Path('docs/results'))


def across(found):
    """The lines about all sets together."""
    row = lambda name, results: [f'[{name}](#{name})', *(show(results, method) for method in SHOWN), best_of(results),
                                 f'{results["summary"]["uowq"]["negative"]:.3f}']
    header = ['set', *SHOWN, 'best', 'uowq below target only']
    gains = np.array([gains_of(list(results['targets'].values()), 'uowq', 'cv_global') for results in found.values()]).mean(0)
    gain, error = mean_and_error(gains)
    return ['## all sets', '', *markdown(header, [row(name, results) for name, results in found.items()]), '',
            f'UOWQ less one weight by cross-validation (cv_global), mean over sets, seed by seed: {gain:+.3f} ± {error:.3f}.', '']


def show(results, method):
    """'0.812 ± 0.004' of a method's average accuracy."""
    mean, error = results['summary'][method]['average']['accuracy']
    return f'{mean:.3f} ± {error:.3f}'


def best_of(results):
    """The name of the method with the best average."""
    return max(results['summary'], key=lambda method: results['summary'][method]['average']['accuracy'][0])


def markdown(header, body):
    """The lines of a table."""
    line = lambda cells: '| ' + ' | '.join(cells) + ' |'
    return [line(header), line(['---'] * len(header)), *map(line, body)]


def section(name, results):
    """The lines of one benchmark."""
    config = results['config']
    command = FLAGS.get(name, f'configs/{name}.py --config.data.path=...')
    return [f'## {name}', '', f'`python -m transfer_jax.main --config={command} --workdir=runs/{name}`', '',
            f'{config["data"]["shots"]} labels a class, seeds {config["seed"]} to {config["seed"] + config["seeds"] - 1}, model '
            f'{config["model"]["kind"]} ({config["model"]["trainable"]} trained); {results["devices"]}, jax {results["jax"]}; '
            f'{training_seconds(results):.0f} s of training for all methods, on two busy cores. Examples: '
            + ', '.join(f'{domain} {size}' for domain, size in results['sizes'].items()) + '.', '',
            *markdown(*rows(results)), '', *verdicts(results), '', *costs(results), '']


def training_seconds(results):
    """Seconds of all methods' own fits, and of those that they share."""
    rows_of = results['summary'].values()
    return sum(row['seconds'] for row in rows_of) + max(row['shared_seconds'] for row in rows_of)


def verdicts(results):
    """The expectations, and whether they held."""
    targets, best = results['targets'], best_of(results)
    gain, error = mean_and_error(gains_of(list(targets.values()), 'uowq', best))
    own_error = results['summary']['uowq']['average']['accuracy'][1]
    apart = {target: mean_and_error(gains_of([targets[target]], 'uowq', 'target_only')) for target in targets}
    worse = [target for target, (mean, spread) in apart.items() if mean < -spread]
    share = results['summary']['uowq']['negative']
    listed = ', '.join(f'{target} {mean:+.3f} ± {spread:.3f}' for target, (mean, spread) in apart.items())
    nowhere = f'Did not hold: more than one standard error below it on {", ".join(worse)}.' if worse else NOWHERE
    return [f'UOWQ against the best method on average ({best}), seed by seed: {gain:+.4f} ± {error:.4f}. '
            f'{held(gain >= -own_error)}: at least as good within one standard error of its own average.',
            f'UOWQ less target only: {listed}. {nowhere}',
            f'Single seeds below target only: {share:.3f} of the (target, seed) pairs. {held(share <= SHARE)}: at most {SHARE}.']


def held(fact):
    """In words."""
    return 'Held' if fact else 'Did not hold'


def gains_of(records, method, other):
    """Differences [S] in accuracy, averaged over targets."""
    accuracy = lambda name: np.mean([[seed['accuracy'] for seed in record[name][SCORE_PART]] for record in records], 0)
    return accuracy(method) - accuracy(other)


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
step. Validation rows choose the source of single_source and nothing else; cv_global, UOWQ and OTQMS choose by fits on folds of the
training rows. An average over targets is taken seed by seed. negative: part of (target, seed) pairs below target only. drawn: rows,
repeats counted, that one seed's final fits drew over all targets, the target's among them; no fit has fewer than 200 steps; seconds: the
final fits of all seeds and targets, without compilation and without the fits that measuring takes.

uowq has the average of the weights of G and what else folds tried, uowq_static those of G, uowq_dynamic those of G again and again in a fit
([how](../transfer.md#how-the-job-decides-its-weights)); uowq_budget may draw from a quarter of the source samples. otqms_published is the
paper's algorithm as written (theta_0 where the fit stands, G as it comes); under, exact and over are its static variants with theta_0
trained for 0.1, 1 and 5 times the steps, on our G; otqms decides again four times in a fit. MCW, H-ensemble and WADN are our own
implementations; features of a linear model are its outputs. Learning rates and priors were chosen on other seeds (5000 and on) of
digits4, Office-Caltech10 and PACS at 32 x 32, for all methods together. The rule of uowq and its constants were chosen on seeds 2000 to
2005 of digits4, Office-Caltech10 and the embedded digits (`transfer`), whose rows overlap with these and whose splits do not, and of three
sets that are not here (made-up reviews, schools, made-up cameras). On the features of PACS (pacs_lite0:
EfficientNet-lite0, default learning rate and prior) nothing was chosen; it was run for this page alone.

""".splitlines()


if __name__ == '__main__':
    main(sys.argv[1:])
