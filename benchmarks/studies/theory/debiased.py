"""The cost of an estimated G: realised KL at the weights and quantities of the raw, the debiased and the true Gram matrix."""
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies.theory.cases import generator
from benchmarks.studies.theory.estimates import ratio
from benchmarks.studies.theory.refits import fits
from benchmarks.studies.theory.worlds import dimension, divergence, information, make_world, statistics
from transfer_jax.debias import debias_gram
from transfer_jax.quantities import transfer_quantities
from transfer_jax.runtime.keys import stream_key
from transfer_jax.weights import source_weights

SCENARIOS = {'identical': (0,) * 5, 'one good four bad': (0, 20, 20, 20, 20), 'graded': tuple(np.geomspace(0.2, 8, 5)),
             'all bad': (90,) * 5}  # N0 G_kk
SIZE_RATIO, RATIO = 10, 20  # N_k / N0, N0 / d
GRAMS = ('raw', 'debiased', 'oracle')


def debiasing(seed, model, d, scenario, runs):
    """The record of one scenario: KL over target only's, ± a paired standard error, of UOWQ and OTQMS with each G, and of all sources.

    In every run all domains are fitted alone, G^ is that of these fits with J at the target's, and the same samples are fitted again.
    """
    d, levels = dimension(model, d), np.array(SCENARIOS[scenario], float)
    rng, size, sources = generator(seed, 'debiasing', model, d, scenario), RATIO * d, len(levels)
    world = make_world(stream_key(seed, f'debiasing {model} {scenario}', d), model, d, size, np.diag(levels**0.5))
    sizes = np.full(1 + sources, float(SIZE_RATIO * size))
    sizes[0] = size
    samples = statistics(rng, world, sizes, runs)
    sizes = np.broadcast_to(sizes, (runs, 1 + sources))
    alone = fits(world, samples, sizes, np.broadcast_to(np.eye(1 + sources), (runs, 1 + sources, 1 + sources)))
    whole = np.isfinite(alone).all((1, 2, 3))
    samples, sizes, alone = samples[whole], sizes[whole], alone[whole]
    grams = gram_estimates(world, alone, samples, sizes)
    w = source_weights(sizes[None, :, 0], sizes[None, :, 1:], grams).weights
    n = transfer_quantities(sizes[None, :, 0], sizes[None, :, 1:], grams, integer=True).quantities
    kl = realised_kl(rng, world, samples, sizes, np.asarray(w), np.asarray(n))
    return {'model': model, 'd': d, 'scenario': scenario, 'runs': len(kl), 'dropped': int(runs - len(kl)),
            'over none': {name: ratio(kl[:, i], kl[:, 0]) for i, name in enumerate(columns())},
            'over oracle': {name: ratio(kl[:, i], kl[:, columns().index(f'{name.split()[0]} oracle')])
                            for i, name in enumerate(columns()) if i > 1}}


def columns():
    """The columns of realised_kl: target only, all sources, then each method with each G."""
    return ['none', 'all', *(f'{method} {gram}' for method in ('UOWQ', 'OTQMS') for gram in GRAMS)]


@jax.jit
def gram_estimates(world, alone, samples, sizes):
    """G [GRAMS, R, K, K] from the fits to every domain alone [R, 1 + K, p, C - 1]; J is that of the target's inputs, at its own fit."""
    d = world.thetas[0].size

    def one(draw):
        thetas, counts, size = draw
        delta = (thetas[1:] - thetas[:1]).reshape(-1, d)
        moved = delta if world.design is None else delta @ information(thetas[0], world.design, jnp.sum(counts[0], -1) / size[0])
        return moved @ delta.T / d
    raw = jax.lax.map(one, (alone, samples, sizes))
    return jnp.stack([raw, debias_gram(raw, sizes[:, 0], sizes[:, 1:], d), jnp.broadcast_to(world.gram, raw.shape)])


def realised_kl(rng, world, samples, sizes, w, n):
    """KL [R, columns] for weights w and whole quantities n [GRAMS, R, K]: of quantities, that many of the very samples at hand."""
    runs, sources = n.shape[1:]
    parts = [subsample(rng, samples[:, 1:], sizes[:, 1:], part, regression=world.design is not None) for part in n]
    samples, sizes = np.concatenate([samples, *parts], 1), np.concatenate([sizes, *n], 1)
    weights = np.zeros((runs, len(columns()), sizes.shape[1]))
    weights[:, :, 0] = 1
    weights[:, 1, 1:1 + sources] = 1
    for i in range(len(GRAMS)):
        weights[:, 2 + i, 1:1 + sources] = w[i]
        weights[:, 2 + len(GRAMS) + i, 1 + (i + 1) * sources:1 + (i + 2) * sources] = 1
    params = fits(world, samples, sizes, weights)
    return np.asarray(jax.vmap(jax.vmap(divergence, (None, 0)), (None, 0))(world, params))


def subsample(rng, samples, sizes, n, *, regression):
    """Statistics of n [R, K] samples out of sizes [R, K], drawn without replacement, from statistics [R, K, ...] of them all."""
    if not regression:
        share = (n / sizes)[:, :, None, None]
        return share * samples + np.sqrt(n * (1 - n / sizes))[:, :, None, None] * rng.standard_normal(samples.shape)
    flat = samples.reshape(*n.shape, -1).astype(np.int64)
    counts = [[rng.multivariate_hypergeometric(own, int(k)) for own, k in zip(*row, strict=True)] for row in zip(flat, n, strict=True)]
    return np.array(counts, float).reshape(samples.shape)
