"""Replicates of G by the jackknife over the target's folds: what each part of its training rows alone would say of the sources."""
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.fisher import fisher_products


def replicates(lab: Lab) -> jax.Array | None:
    """G without each fold [F, S, K, K], debiased as G is, in the same unit (the noise of all training rows); None without folds.

    Replicate f starts from theta_0 without fold f, and its metric is of the rows outside the fold; the sources' fits and the model
    where J is taken are those of G. No fit is trained for it that G does not need.
    """
    if lab.folds is None:
        return None
    alone, on_folds = lab.fits_of_noise()
    kind = 'gauss_newton' if lab.classes is None else 'true'
    raw = fold_grams(lab.trainer.model.apply, lab.trainer.frozen, lab.fit_middle().params, alone.params,
                     lab.by_seed(lab.fit_singles().params), lab.by_seed(on_folds.params), lab.inputs(lab.train),
                     jnp.asarray(lab.folds.fold), kind=kind, d=lab.count_params())
    raw = jnp.moveaxis(raw / lab.measure_middle().noise[:, None, None, None], 1, 0)
    rows = np.stack([np.sum(lab.folds.fold != number, 1) for number in range(lab.folds.count)])
    sizes, d = jnp.asarray(lab.sizes, jnp.float32), lab.count_params()  # one at a time: the program that G has is compiled already
    return jnp.stack([debias_gram(gram, jnp.asarray(count, jnp.float32), sizes, d) for gram, count in zip(raw, rows, strict=True)])


@functools.partial(jax.jit, static_argnames=('apply', 'kind'))
def fold_grams(apply: Callable[[Any, Any, jax.Array], jax.Array], frozen: Any, at: Any, target: Any, sources: Any, folds: Any,
               inputs: jax.Array, fold: jax.Array, *, kind: str, d: int) -> jax.Array:
    """The gram [S, F, K, K] of sources - theta_0 without fold f, over the rows outside fold f, in the metric of the model `at`.

    Arguments as measure.raw_gram has them; fold [S, n]: the fold of every row. Products are linear in parameters, so K + F of one pass
    give all of them.
    """
    function = lambda params, x: apply(params, frozen, x[None])[0]

    def one(problem):
        at, target, sources, folds, inputs, fold = problem
        deltas = jax.tree.map(lambda a, b, origin: jnp.concatenate([a, b]) - origin[None], sources, folds, target)
        products = fisher_products(function, at, deltas, inputs, kind=kind)
        count = len(jax.tree.leaves(sources)[0])

        def without(number):
            outside = (fold != number).astype(products.dtype)
            apart = (products[:count] - products[count + number][None]) * outside[None, :, None]
            return jnp.einsum('knr,lnr->kl', apart, apart, precision='highest') / (d * jnp.sum(outside))
        return jax.lax.map(without, jnp.arange(len(products) - count))
    return jax.lax.map(one, (at, target, sources, folds, inputs, fold))
