"""Is the expected KL of refitted models what predicted_error says, and least at the weights and quantities that the solvers give?

    python -m benchmarks.theory [--seed=0] [--output=docs/results/theory.md] [--picture=docs/images/theory.png]

Takes some five minutes on two cores.
"""
import argparse
import os
import pathlib
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import theory_page
from benchmarks.refits import make_world, realised, subsets
from benchmarks.timing import machine
from transfer_jax.objective import predicted_error, single_source_quantity
from transfer_jax.quantities import transfer_quantities
from transfer_jax.solution import check
from transfer_jax.weights import source_weights

MODELS = {'Gaussian mean': None, 'logistic': 2, 'softmax': 3}  # classes
RUNS = {5: 4000, 20: 1600, 100: 300}  # of every dimension
DISTANCES = (0.5, 0.1, 2.0)  # N0 G_kk; K sources have the first K
RATIOS = (10, 20, 160)  # N0 / d
MORE = 4  # N_k / N0
SCALES = (0.25, 0.5, 0.5**0.5, 1.0, 2**0.5, 2.0, 4.0)  # of the optimal weights
THRESHOLD = (0.4, 0.5, 0.525, 0.55, 0.6, 1.0, 2.0)  # N0 G of one source with twenty times the target's samples


class Case(NamedTuple):
    """One experiment, its columns W: no source, all, the optimum at every scale, then each weight alone halved and doubled."""
    model: str
    d: int
    sources: int
    ratio: int
    predicted: np.ndarray  # d/2 F [W]
    kl: np.ndarray  # realised [runs, W]


def experiment(seed, model, d, sources, ratio, runs, more=MORE):
    """The Case: a world of its own for every model, d and K, and N0 = ratio d."""
    classes = MODELS[model]
    d += d % (classes - 1) if classes else 0  # every free logit has as many parameters
    size, sizes = ratio * d, (more * ratio * d,) * sources
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1000 * d + 10 * sources + list(MODELS).index(model)))
    world, gram = make_world(keys[0], classes, d, size, DISTANCES[:sources], rows=1024 if d > 50 else 512)
    numbers = float(size), np.array(sizes, float), gram
    weights = paths(check(source_weights(*numbers)).weights)
    kl = realised(jax.random.fold_in(keys[1], ratio), world, weights, target_size=size, sizes=sizes, runs=runs)
    return Case(model, d, sources, ratio, d / 2 * np.asarray(predicted_error(*numbers, weights)), np.asarray(kl))


def paths(best):
    """The weights of a Case's columns [W, K] around the optimal ones [K]."""
    alone = [best.at[k].multiply(factor) for k in range(len(best)) for factor in (0.5, 2.0)]
    return jnp.stack([0 * best, jnp.ones_like(best), *(scale * best for scale in SCALES), *alone])


def threshold(key, distance, runs=100000, d=20, size=100.0, more=20):
    """One source of a Gaussian mean: (closed form n*, the solver's, d/2 F [3], KL [runs, 3]) at 0.8, 1 and 1.25 n*, at most all."""
    sizes, gram = np.array([more * size]), np.array([[distance / size]])
    best = float(single_source_quantity(size, sizes[0], gram[0, 0]))
    solved = float(check(transfer_quantities(size, sizes, gram)).quantities[0])
    tried = np.minimum(np.array([0.8, 1, 1.25]) * best, sizes)
    kl = subsets(key, size, distance, jnp.asarray(tried), d=d, runs=runs)
    return best / size, solved / size, d / 2 * np.asarray(predicted_error(size, tried[:, None], gram)), np.asarray(kl)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('docs/results/theory.md'))
    parser.add_argument('--picture', type=pathlib.Path, default=pathlib.Path('docs/images/theory.png'))
    args = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    start = time.perf_counter()
    cases = [experiment(args.seed, model, d, 3, ratio, RUNS[d]) for model in MODELS for d in RUNS for ratio in RATIOS]
    cases += [experiment(args.seed, model, 20, sources, 20, RUNS[20]) for model in MODELS for sources in (1, 2)]
    keys = jax.random.split(jax.random.key(args.seed), len(THRESHOLD))
    lines = theory_page.page(cases, dict(zip(THRESHOLD, map(threshold, keys, THRESHOLD), strict=True)), SCALES)
    command = f'`python -m benchmarks.theory --seed={args.seed}`, {time.strftime("%Y-%m-%d")}, {time.perf_counter() - start:.0f} s'
    text = '\n'.join(['# Theory against refitted models', '', f'{command}, {machine()}.', '', *lines, ''])
    args.output.parent.mkdir(parents=True, exist_ok=True)
    picture = os.path.relpath(args.picture, args.output.parent)
    args.output.write_text(text + f'\n![Realised and predicted KL along the path of weights]({picture})\n')
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    chosen = [case for case in cases if (case.d, case.sources, case.ratio) == (20, 3, 20)]
    theory_page.picture(chosen, SCALES).savefig(args.picture, dpi=120)
    print(text)


if __name__ == '__main__':
    main()
