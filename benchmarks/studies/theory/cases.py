"""The cases: how near realised KL comes to d/2 F, one source's threshold, and which way to use sources is best."""
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies.theory.estimates import Draws
from benchmarks.studies.theory.refits import errors, expected_linear
from benchmarks.studies.theory.worlds import dimension, in_blocks, make_world, statistics
from transfer_jax.objective import predicted_error, single_source_quantity
from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.keys import stream_key
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights

WAYS = ('none', 'all', 'OTQMS', 'UOWQ', 'half', 'double')  # to use the sources; the last two are multiples of UOWQ's weights
SIZE_RATIO = 4  # N_k / N0
DISTANCES = (0.1, 4.0)  # N0 G_kk of the nearest and of the farthest source; of a single one 1/2
GRID = (0, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20)  # quantities of the threshold's source, in N0
AROUND = (0.5, 0.8, 1, 1.25, 2)  # and in n*


def generator(seed, *names):
    """A NumPy generator, a function of seed and names."""
    return np.random.default_rng(np.asarray(jax.random.key_data(stream_key(seed, '/'.join(map(str, names))))))


def draw_refits(rng, world, sizes, weights, runs):
    """Draws of so many runs at weights [W, 1 + K] of all domains, the target's first, with sizes [1 + K]."""
    sizes, weights = np.asarray(sizes, float), np.asarray(weights, float)
    samples = statistics(rng, world, sizes, runs)
    kl, linear = errors(world, samples, *(np.broadcast_to(x, (runs, *x.shape)) for x in (sizes, weights)))
    if world.design is None:  # KL is its own linearisation: the difference would measure nothing
        return Draws(np.asarray(kl))
    return Draws(np.asarray(kl), np.asarray(linear), np.asarray(expected_linear(world, sizes, weights)))


def ways(world, target_size, sizes, runs, rng):
    """(d/2 F [WAYS], Draws) of every way of using sources with N = sizes [K], and (weights, quantities) [K] of the solvers.

    OTQMS takes whole samples: a source comes in two blocks, the n_k that OTQMS uses and the rest.
    """
    problem, d = (float(target_size), np.asarray(sizes, float), world.gram), world.thetas[0].size
    n = np.asarray(check(transfer_quantities(*problem, integer=True)).quantities)
    w = np.asarray(check(source_weights(*problem)).weights)
    by_weight = np.stack([0 * w, np.ones_like(w), w, w / 2, 2 * w])
    predicted = np.insert(np.asarray(predicted_error(*problem, by_weight)), 2, predicted_error(*problem, quantities=n))
    weights = np.insert(np.concatenate([by_weight, by_weight], 1), 2, np.concatenate([n > 0, 0 * n]), 0)
    weights = np.concatenate([np.ones((len(WAYS), 1)), weights], 1)
    blocks = in_blocks(world, [*range(len(n)), *range(len(n))])
    return d / 2 * predicted, draw_refits(rng, blocks, [target_size, *n, *(problem[1] - n)], weights, runs), (w.tolist(), n.tolist())


def distances(sources):
    """N0 G_kk of so many sources."""
    return np.geomspace(*DISTANCES, sources) if sources > 1 else np.array([0.5])


def growth(seed, model, d, sources, ratio, runs):
    """The record of one case: a world of its own for every model, d and K, N0 = ratio d, sources of 4 N0 samples each."""
    d, rng = dimension(model, d), generator(seed, 'growth', model, d, sources, ratio)
    size = ratio * d
    world = make_world(stream_key(seed, f'growth {model}', d, sources), model, d, size, np.diag(distances(sources) ** 0.5))
    predicted, draws, (weights, quantities) = ways(world, size, [SIZE_RATIO * size] * sources, runs, rng)
    columns = {name: {'predicted': float(predicted[i]), 'kl': draws.mean(i), 'plain': Draws(draws.kl).mean(i), 'failed': draws.failed(i),
                      'above UOWQ': draws.difference(i, WAYS.index('UOWQ'))} for i, name in enumerate(WAYS)}
    return {'model': model, 'd': d, 'sources': sources, 'ratio': ratio, 'runs': runs, 'weights': weights, 'quantities': quantities,
            'ways': columns}


def threshold(seed, model, distance, ratio, runs, d=20):
    """The record of one source of 20 N0 samples at N0 G = distance: predicted and realised KL of its first n samples."""
    d, size = dimension(model, d), ratio * dimension(model, d)
    world = make_world(stream_key(seed, f'threshold {model}', round(1000 * distance)), model, d, size, np.array([[distance**0.5]]))
    closed = float(single_source_quantity(size, GRID[-1] * size, world.gram[0, 0]))
    solved = float(check(transfer_quantities(float(size), np.array([GRID[-1] * size], float), world.gram)).quantities[0])
    candidates = [*(size * x for x in GRID), *(closed * x for x in AROUND)]
    quantities = np.sort(np.round(np.minimum(candidates, GRID[-1] * size)))  # as many for every distance: one program
    weights = np.concatenate([np.ones((len(quantities), 1)), np.tri(len(quantities), len(quantities) - 1, -1)], 1)
    blocks = in_blocks(world, [0] * (len(quantities) - 1))
    draws = draw_refits(generator(seed, 'threshold', model, distance), blocks, [size, *np.diff(quantities)], weights, runs)
    predicted = d / 2 * np.asarray(predicted_error(float(size), quantities[:, None], world.gram))
    best = int(np.argmin(abs(quantities - closed)))
    return {'model': model, 'd': d, 'ratio': ratio, 'distance': distance, 'runs': runs, 'closed': closed / size, 'solved': solved / size,
            'quantities': (quantities / size).tolist(), 'best': best, 'predicted': predicted.tolist(),
            'kl': [draws.mean(i) for i in range(len(quantities))],
            'above': [draws.difference(i, best) for i in range(len(quantities))]}


def random_problem(rng, sources):
    """(N_k / N0 [K], mixing [K, q]): N_k from 1/2 to 20 N0, N0 G_kk from 0.01 to 10, biases in 1, about K/2 or K directions."""
    more = np.exp(rng.uniform(np.log(0.5), np.log(20), sources))
    mixing = rng.standard_normal((sources, rng.choice([1, (sources + 1) // 2, sources])))
    lengths = np.exp(rng.uniform(np.log(0.01), np.log(10), sources)) ** 0.5
    return more, mixing * (lengths / np.linalg.norm(mixing, axis=1))[:, None]


def orders(seed, model, d, sources, instances, runs):
    """The record of so many random instances: every way's predicted KL, realised KL and its differences to UOWQ and OTQMS."""
    d, cases = dimension(model, d), []
    for number in range(instances):
        rng = generator(seed, 'orders', model, d, sources, number)
        more, mixing = random_problem(rng, sources)
        ratio = float(np.exp(rng.uniform(np.log(10), np.log(320))))
        size = round(ratio * d)
        world = make_world(stream_key(seed, f'orders {model} {d} {sources}', number), model, d, size, mixing)
        predicted, draws, _ = ways(world, size, np.round(more * size), runs, rng)
        pairs = {'UOWQ - OTQMS': ('UOWQ', 'OTQMS'), 'OTQMS - none': ('OTQMS', 'none'), 'OTQMS - all': ('OTQMS', 'all')}
        cases.append({'ratio': size / d, 'predicted': predicted[:4].tolist(), 'kl': [draws.mean(i) for i in range(4)],
                      'failed': [draws.failed(i) for i in range(4)],
                      'differences': {name: draws.difference(*map(WAYS.index, pair)) for name, pair in pairs.items()}})
    return {'model': model, 'd': d, 'sources': sources, 'runs': runs, 'instances': cases}


def predicted_orders(seed, sources, instances):
    """The record of so many random problems, solved in one batch: each inequality's largest excess of F, over F, and how many have one."""
    rng = generator(seed, 'predicted', sources)
    problems = [random_problem(rng, sources) for _ in range(instances)]
    sizes, gram = np.stack([more for more, _ in problems]), []
    for _, mixing in problems:
        directions = rng.standard_normal((mixing.shape[1], 50))
        biases = mixing @ directions
        biases *= (np.linalg.norm(mixing, axis=1) / np.linalg.norm(biases, axis=1))[:, None]
        gram.append(biases @ biases.T)
    gram = np.stack(gram)
    uowq, otqms = check(source_weights(1.0, sizes, gram)).error, check(transfer_quantities(1.0, sizes, gram)).error
    simple = jnp.minimum(1.0, predicted_error(1.0, sizes, gram))
    excess = {'UOWQ - OTQMS': uowq / otqms - 1, 'OTQMS - min(none, all)': otqms / simple - 1}
    return {'sources': sources, 'instances': instances, 'largest': {name: float(jnp.max(x)) for name, x in excess.items()},
            'broken': {name: int(jnp.sum(x > 1e-9)) for name, x in excess.items()},
            'median gain': {name: float(-jnp.median(x)) for name, x in excess.items()}}
