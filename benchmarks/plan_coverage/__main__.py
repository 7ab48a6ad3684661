"""How often the plan's intervals hold the weight at the true G, and how often its verdicts are wrong: Gaussian means, softmax regressions.

    python -m benchmarks.plan_coverage [--worlds 300] [--splits 30]

A Gaussian world has N0 = 50 rows of the target, five folds, 300 rows of each source, and true gaps of given N0 G_kk. A softmax world is
the transfer job itself with exact fits: six features, three classes, known parameters, sources of 300 rows, and many splits of one target.
"""
import argparse
import dataclasses

import numpy as np

from benchmarks.plan_coverage.worlds import BIASES, CLASSES, FEATURES, SHIFTS, TARGET, Tally, gaussian, softmax
from transfer_jax.knowledge import HARMS, HELPS, NOTHING, UNKNOWN

HEADER = ('world', 'labels', 'd', 'weight covered', 'worth covered', HELPS, f'{HARMS}, {NOTHING}', UNKNOWN, f'{HELPS}, wrongly',
          f'{HARMS}, wrongly')


def main(arguments=None):
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--worlds', type=int, default=300)
    parser.add_argument('--splits', type=int, default=30)
    options = parser.parse_args(arguments)
    print('| ' + ' | '.join(HEADER) + ' |\n|' + '---|' * len(HEADER), flush=True)
    for d in (10, 30, 100, 1000):
        for name, biases in BIASES.items():
            print(gaussian(biases, d, options.worlds).row(name, TARGET, d), flush=True)
    for shots in (5, 20, 100):
        parts = [softmax(shots, seed, options.splits) for seed in range(4)]
        whole = Tally(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(Tally)))
        print(whole.row('softmax, ' + ', '.join(SHIFTS), shots * CLASSES, (CLASSES - 1) * (FEATURES + 1)), flush=True)


if __name__ == '__main__':
    main()
