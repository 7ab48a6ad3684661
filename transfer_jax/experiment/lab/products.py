"""Outputs, losses and Fisher information of linear models on the host: exact products of theta with rows, dense or sparse."""
import numpy as np
import scipy.special

from transfer_jax.experiment.lab.measure import LEAST_NOISE


def losses(outputs: np.ndarray, labels: np.ndarray, classes: int | None) -> np.ndarray:
    """The loss [...] of outputs [..., C]: -log p(label), or (output - label)^2 / 2 of a regression (classes None)."""
    if classes is None:
        return (outputs[..., 0] - labels) ** 2 / 2
    return scipy.special.logsumexp(outputs, -1) - np.take_along_axis(outputs, labels[..., None], -1)[..., 0]


def fisher_products(outputs: np.ndarray, changes: np.ndarray, classes: int | None) -> np.ndarray:
    """A_i delta_k [K, n, C], as transfer_jax.fisher's for a linear model: J = mean A'A on n rows, delta_k changes outputs by changes_k.

    outputs [n, C]: where J is taken; it does not matter to a regression (classes None), whose J is that of unit-variance noise.
    """
    if classes is None:
        return changes
    p = scipy.special.softmax(outputs, -1)
    return np.sqrt(p) * (changes - np.sum(p * changes, -1, keepdims=True))


def raw_gram(at: np.ndarray, target: np.ndarray, sources: np.ndarray, folds: np.ndarray | None, classes: int | None, *,
             d: int) -> tuple[np.ndarray, float]:
    """(G / c [K, K], c) of one seed, as measure.raw_gram, from outputs on the target's n training rows.

    at, target [n, C]; sources [K, n, C]; folds [F, n, C], each without one fold, or None.
    """
    changes = sources - target
    if folds is not None:
        changes = np.concatenate([changes, folds - folds.mean(0)])
    products = fisher_products(at, changes, classes)
    gram = np.einsum('knc,lnc->kl', products, products) / (len(at) * d)
    count, fold_count = len(sources), 0 if folds is None else len(folds)
    noise = np.trace(gram[count:, count:]) * (fold_count - 1) / fold_count * len(at) if fold_count else 1.0
    noise = max(noise, LEAST_NOISE * gram.diagonal()[:count].max() + 1e-30)
    return gram[:count, :count] / noise, noise
