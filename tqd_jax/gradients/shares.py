"""From a probe's products of gradients to each group's share of the draws, by noise bin: points 3 to 5 of tqd_jax.gradients.probe."""
import contextlib
import dataclasses

import jax
import numpy as np

from tqd_jax.gradients.alignment import expected_products, expected_replicates, standard_error
from tqd_jax.gradients.products import Products
from transfer_jax.debias import project_psd
from transfer_jax.solver.solution import check
from transfer_jax.weights import source_weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantities:
    """What a probe measures of K groups in B noise bins.

    gram: [B, K, K], unbiased, then made semi-definite. rho: [B], the clips' share of the variance, in [0.001, 1], the mean of all groups.
    replicates: gram and rho without one chunk, [C, B, K, K] and [C, B]. plug_in: [B, K, K], each fold's G^ with its bias, to compare.
    """
    gram: np.ndarray
    rho: np.ndarray
    replicates: tuple
    plug_in: np.ndarray


def quantities(products, d, size, *, among=False):
    """Quantities from Products [2, C / 2, B, 2 S, 2 S] in units of V, of halves of m = size examples, and d [B].

    The target comes first. K = S - 1, or S where it is among the groups that are taught: then its own delta is 0 without any noise.
    """
    count = products.own.shape[-1] // 2
    halves = np.concatenate([np.eye(count), np.eye(count)], axis=1) / 2
    difference = (np.eye(count) - np.eye(count)[0])[0 if among else 1:] @ halves  # delta_k = g_k - g_0
    scale = np.asarray(d, np.float64)[:, None, None]
    whole, parts, plug_in, clips, clip_parts = zip(*(_of_fold(
        Products(cross=products.cross[fold], own=products.own[fold]), difference, scale, size) for fold in range(2)), strict=True)
    bounded = lambda rho: np.clip(rho, 1e-3, 1.0)
    without = lambda whole, parts: np.concatenate([(parts[0] + whole[1]) / 2, (whole[0] + parts[1]) / 2])
    return Quantities(gram=semidefinite(np.mean(whole, 0)), rho=bounded(np.mean(clips, 0)), plug_in=semidefinite(np.mean(plug_in, 0)),
                      replicates=(semidefinite(without(whole, parts)), bounded(without(clips, clip_parts))))


def semidefinite(gram):
    """The nearest positive semi-definite matrices to gram [..., K, K], float64."""
    with in_double():
        return np.asarray(project_psd(np.asarray(gram, np.float64)))


@contextlib.contextmanager
def in_double():
    """A context where JAX computes in float64, on the host where JAX has a CPU backend: for problems of K x K numbers."""
    try:
        host = jax.local_devices(backend='cpu')[0]
    except RuntimeError:  # JAX_PLATFORMS names other backends only
        host = None
    with jax.enable_x64(True), jax.default_device(host):
        yield


def _of_fold(products, difference, scale, size):
    """(G, G without each chunk, plug-in, rho, rho without each chunk) of the chunks of one fold, over d."""
    cross, own = (np.asarray(x, np.float64) / scale for x in (products.cross, products.own))
    products, chunks = Products(cross=cross, own=own), len(own)
    turned = Products(cross=difference @ cross @ difference.T, own=difference @ own @ difference.T)
    rho = lambda own, apart: size * _halves(own - apart).mean(-1)
    return (expected_products(turned), expected_replicates(turned), turned.cross.sum(0) / chunks**2,
            rho(own.mean(0), expected_products(products)), rho((own.sum(0) - own) / (chunks - 1), expected_replicates(products)))


def _halves(products):
    """<a, b> of every group's two halves, [..., S] of [..., 2 S, 2 S]."""
    count = products.shape[-1] // 2
    return np.diagonal(products[..., :count, count:], axis1=-2, axis2=-1)


def shares(gram, rho, counts):
    """q [..., B, K] that minimises q' (diag(rho / N) + G) q, q >= 0, sum q = 1; gram [..., B, K, K], rho [..., B], counts N [K]."""
    sizes = np.asarray(counts, np.float64) / np.asarray(rho)[..., None]
    scale = sizes.mean()  # u and G scale with the sizes; the solver is most exact near 1
    with in_double():
        solution = check(source_weights(np.zeros(()), sizes / scale, np.asarray(gram, np.float64) * scale))
        u = np.asarray(solution.effective_sizes)
    return u / u.sum(-1, keepdims=True)


def shares_error(probe, counts):
    """The jackknife's standard error of q [B, K] over chunks, the variances of both folds added."""
    return np.sqrt(sum(standard_error(fold)**2 for fold in np.split(shares(*probe.replicates, counts), 2)))
