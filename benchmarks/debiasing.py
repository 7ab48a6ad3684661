"""Realised risk over target-only's of weights from the raw, the debiased and the true Gram matrix, by Monte Carlo.

    python -m benchmarks.debiasing [--runs=300] [--refits=100] [--seed=2026]

Some 4 minutes on two cores. The estimator was chosen on other seeds and, but for identical sources, other scenarios.
"""
import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.logistic import refit
from benchmarks.studies.theory.estimates import ratio
from benchmarks.timing import write_page
from transfer_jax.debias import debias_gram, project_psd
from transfer_jax.weights import source_weights

DIMENSIONS = (10, 30, 100, 300, 1000, 10000)
RATIO = 10  # a source's samples over the target's


def separate(*distances):
    """B [K, K] of sources that have a bias each, in a direction of its own; distances: N0 G_kk."""
    return np.diag(np.sqrt(distances))


# name: B [K, R]; the sources' biases are B z / sqrt(N0) with z [R, d] standard normal, new in every run: E[G] = B B' / N0
SCENARIOS = {
    'identical': np.zeros((5, 1)),
    'one good four bad': separate(0, 20, 20, 20, 20),
    'graded': separate(*np.geomspace(0.2, 8, 5)),
    'all bad': separate(*[90] * 5),
    'all bad alike': np.full((5, 1), 20**0.5),
    'K = 30 graded': separate(*np.geomspace(0.2, 8, 30)),
    'K = 1': separate(1),
    'two good, three bad alike': np.array([[0], [0], [2], [2.5], [4]]),
    'bad, but cancelling': np.array([[3, 0], [-3, 2], [1, 4], [0, -3], [5, 5]]),
    'K = 30 in 2 directions': np.stack([np.cos(np.arange(30)), np.sin(2 * np.arange(30))], 1),
}
ESTIMATORS = {
    'raw': lambda gram, sizes, d: gram,
    'plain': lambda gram, sizes, d: project_psd(gram - 1 - jnp.diag(1 / sizes)),
    'before': lambda gram, sizes, d: project_psd(gram - max(0, 1 - (len(sizes) + 1) / d) * (1 + jnp.diag(1 / sizes))),
    'default': lambda gram, sizes, d: debias_gram(gram, 1.0, sizes, d),
}
COLUMNS = (*ESTIMATORS, 'oracle')
INTRO = f"""Gaussian means, sources of {RATIO} N0 samples each. Mean squared error (twice the KL) of the weighted fit over that of the
target's own estimate, ± a Monte-Carlo standard error, paired. raw: G as estimated; plain: PSD(G^ - 1/N0 - diag(1/N)); before: an
earlier default, which subtracted 1 - (K + 1) / d of that; default: debias_gram; oracle: the true G.

N0 G_kk: identical 0; good 0 and bad 20; graded .2 to 8; all bad 90; alike: one shared bias, of 20; K = 1: 1. The last three are
made to break the model of separate biases: 0, 0, 4, 6 and 16 along one direction; biases that cancel in two directions; 30 sources
in two directions. Any N0 gives the same table, as G~ scales with G^ and 1/N (tests/transfer_jax/test_debias.py)."""
LIMITS = """Where G = 0, the target's distance from the sources is known to about sqrt(2/d) of 1/N0 only, and cutting it at zero costs
1/d of target-only's risk, as in James and Stein's estimator: at d = 1000 that alone is 5 % of an oracle of .02, and 3 % of one of .03."""
REFITS = f"""KL over the target-only fit's; five graded sources of {RATIO} N0 samples, all refitted by weighted maximum likelihood."""


def simulate(seed, mixing, d, runs):
    """The true G [runs, K, K], and the second moments of theta^_0 - theta_0 and every theta^_k - theta^_0 [runs, 1 + K, 1 + K]; N0 is 1."""
    rng = np.random.default_rng([seed, d, *mixing.shape, int(1e6 * abs(mixing).sum())])
    truth, errors = [], []
    for _ in range(runs):
        bias = mixing @ rng.standard_normal((mixing.shape[1], d))
        target = rng.standard_normal((1, d))
        rows = np.concatenate([target, bias - target + rng.standard_normal(bias.shape) / RATIO**0.5])
        truth.append(bias @ bias.T / d)
        errors.append(rows @ rows.T / d)
    return np.stack(truth), np.stack(errors)


def losses(gram, sizes, errors):
    """Squared error over d / N0 of the weighted fit theta^_0 + sum v_k (theta^_k - theta^_0), [runs]."""
    u = np.asarray(source_weights(1.0, sizes, gram).effective_sizes)
    v = np.concatenate([np.ones((len(u), 1)), u / (1 + u.sum(1, keepdims=True))], 1)
    return np.einsum('bk,bkl,bl->b', v, errors, v)


def format_error(value, error):
    """'0.1234 ± 0.0056'."""
    return f'{value:.4f} ± {error:.4f}'


def row(name, d, alone, errors):
    """A line of the table: every estimator's squared errors {column: [runs]} over those of the target alone [runs]."""
    cells = [format_error(*ratio(errors[key], alone)) for key in COLUMNS]
    return f'| {name} | {d} | ' + ' | '.join(cells) + f' | {format_error(*ratio(errors["default"], errors["oracle"]))} |'


def gaussian(name, d, runs, seed):
    """Squared errors of the target's own estimate [runs], and {column: [runs]}."""
    truth, errors = simulate(seed, SCENARIOS[name], d, runs)
    sizes = jnp.full(len(SCENARIOS[name]), float(RATIO))
    grams = {key: estimate(jnp.asarray(errors[:, 1:, 1:]), sizes, d) for key, estimate in ESTIMATORS.items()} | {'oracle': truth}
    return errors[:, 0, 0], {key: losses(gram, sizes, errors) for key, gram in grams.items()}


def aims(figures):
    """The aims, and the cases that miss them."""
    checks = {
        'within 5 % of the oracle at d >= 1000': lambda d, f: (f['oracle'], d >= 1000 and f['oracle'] > 1.05),
        'never worse than target-only by more than 1 %': lambda d, f: (f['target'], f['target'] > 1.01),
        'better than plain at d 10 to 100 (1 % worse or more is listed)': lambda d, f: (f['plain'], d <= 100 and f['plain'] > 1.01),
        'never worse than raw by more than 1 %': lambda d, f: (f['raw'], f['raw'] > 1.01),
    }
    for aim, check in checks.items():
        missed = [f'{name}, d {d}: {check(d, f)[0]:.3f}' for (name, d), f in figures.items() if check(d, f)[1]]
        yield f'- {aim}: ' + (f'met but for {"; ".join(missed)}.' if missed else 'met.')


def page(lines, refits, figures):
    """The page's lines."""
    head = ['| scenario | d | ' + ' | '.join(COLUMNS) + ' | default / oracle |', '|---' * (len(COLUMNS) + 3) + '|']
    return [INTRO, '', *head, *lines, '', '## Aims', '', *aims(figures), '', LIMITS, '',
            '## Logistic regression, refitted', '', REFITS, '', *head, *refits]


def main():
    """Simulates every scenario and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runs', type=int, default=300)
    parser.add_argument('--refits', type=int, default=100)
    parser.add_argument('--seed', type=int, default=2026)
    args = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    lines, figures, refits = [], {}, []
    for name in SCENARIOS:
        for d in DIMENSIONS:
            alone, errors = gaussian(name, d, args.runs if d < 10000 else args.runs // 4, args.seed)
            lines.append(row(name, d, alone, errors))
            figures[name, d] = {'target': ratio(errors['default'], alone)[0]} | {
                other: ratio(errors['default'], errors[other])[0] for other in ('oracle', 'plain', 'raw')}
    for d, target_size in ((20, 200), (60, 600)):
        errors = refit(d, target_size, RATIO, ESTIMATORS, args.refits, args.seed)
        refits.append(row(f'N0 = {target_size}', d, errors['target'], errors))
    write_page('debiasing', 'Debiasing: realised risk over target-only\'s', page(lines, refits, figures), pathlib.Path('docs/results'))


if __name__ == '__main__':
    main()
