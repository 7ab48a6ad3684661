"""How alike the gradients of two groups of clips are, by noise and layer group, without the noise that both estimates have.

Clips are cut into K chunks of M examples; g_k^s is the gradient of the mean loss of group s on chunk k. Chunks are independent, so with
T^s = sum_k g_k^s

    <E g^s, E g^r>  is estimated without bias by  U_sr = (<T^s, T^r> - sum_k <g_k^s, g_k^r>) / (K (K - 1)),

products of different chunks only. The plug-in <T^s, T^r> / K^2 is not: it adds Cov(g^s, g^r) / K, the noise that lowers the cosine of
unrelated draws and, where both groups are copies of the same clips with the same noise, raises it. Two cosines are made of these:

    expected   U_sr / sqrt(U_ss U_rr): of the gradients that infinitely many clips have. The ratio may leave [-1, 1], being unbiased in its
               parts, and is NaN where a squared norm is not clearly above 0: it has no sure direction.
    matched    the same with sum_k <g_k^s, g_k^r> / K: of two training steps on M examples, the same clips and noise in both.

Errors are those of the delete-one jackknife over chunks (Efron and Stein 1981), bands are Student's with K - 1 degrees of freedom.
"""
import itertools

import numpy as np
from scipy import stats

CLEAR = 2.0  # standard errors that a squared norm must be above 0 for its direction to be sure


def expected_products(products):
    """U [..., L, S, S]: without bias the inner products of the expected gradients."""
    cross, own = (np.asarray(x, np.float64) for x in (products.cross, products.own))
    return (cross.sum(0) - own.sum(0)) / (len(own) * (len(own) - 1))


def expected_replicates(products):
    """U without chunk k, for every k: [K, ..., L, S, S]. <T - g_k, T - g_k> follows from cross and own."""
    cross, own = (np.asarray(x, np.float64) for x in (products.cross, products.own))
    whole = cross.sum(0) - cross - np.swapaxes(cross, -1, -2) + own
    return (whole - (own.sum(0) - own)) / ((len(own) - 1) * (len(own) - 2))


def matched_products(products):
    """(mean, replicates without chunk k [K, ...]) of <g_k^s, g_k^r>: [..., L, S, S]."""
    own = np.asarray(products.own, np.float64)
    return own.mean(0), (own.sum(0) - own) / (len(own) - 1)


def cosines(inner):
    """Cosines of groups 1 ... with group 0, [..., S - 1], from inner products [..., S, S]; NaN where a squared norm is not above 0."""
    norms = np.diagonal(inner, axis1=-2, axis2=-1)
    scale = np.where(norms > 0, norms, np.nan)
    return inner[..., 0, 1:] / np.sqrt(scale[..., :1] * scale[..., 1:])


def standard_error(replicates):
    """The jackknife's standard error over the leading axis K."""
    count = len(replicates)
    return np.sqrt((count - 1) / count * np.sum((replicates - replicates.mean(0)) ** 2, 0))


def alignment(products, confidence=0.95):
    """Both cosines of groups 1, 2, ... with group 0, and how they differ: {'expected': curves, 'matched': curves, 'norms': [..., L, S]}.

    curves: 'cosine', 'low', 'high' [..., L, S - 1], and 'difference', the cosines of groups 2, ... minus that of group 1
    [..., L, S - 2] with low, high and 'sign': -1, 0 or 1, the side of 0 on which the band lies. The band of a difference comes from the
    same chunks, so it is sharper than two bands side by side. 'norms': U_ss over its standard error.
    """
    whole, parts = expected_products(products), expected_replicates(products)
    squares, errors = (np.diagonal(x, axis1=-2, axis2=-1) for x in (whole, parts))
    clear = squares / np.maximum(standard_error(errors), 1e-300)
    sure = (clear[..., :1] > CLEAR) & (clear[..., 1:] > CLEAR)
    wide = stats.t.ppf((1 + confidence) / 2, len(parts) - 1)
    expected = np.where(sure, cosines(whole), np.nan), cosines(parts)
    matched = tuple(cosines(x) for x in matched_products(products))
    return {'expected': _curves(*expected, wide), 'matched': _curves(*matched, wide), 'norms': clear}


def _curves(estimate, replicates, wide):
    difference = _band(*(x[..., 1:] - x[..., :1] for x in (estimate, replicates)), wide)
    sign = np.where(difference['low'] > 0, 1, np.where(difference['high'] < 0, -1, 0))
    return {**_band(estimate, replicates, wide), 'difference': {**difference, 'sign': sign}}


def _band(estimate, replicates, wide):
    error = wide * standard_error(replicates)
    return {'cosine': estimate, 'low': estimate - error, 'high': estimate + error}


def crossings(t, difference):
    """Where a curve [B] at t [B] changes its sign, by linear interpolation between finite neighbours: a list of t."""
    finite = np.isfinite(difference)
    t, y = np.asarray(t, float)[finite], np.asarray(difference, float)[finite]
    change = np.flatnonzero(y[:-1] * y[1:] < 0)
    return [float(t[i] + (t[i + 1] - t[i]) * y[i] / (y[i] - y[i + 1])) for i in change]


def verdict(sign):
    """What clear signs [B], in order of t, say of "group 2 aligns better at noisy t, group 1 at clean t": a word, 'holds' or what else."""
    signs = [int(s) for s in sign if s]
    if not signs:
        return 'undecided'
    turns = sum(a != b for a, b in itertools.pairwise(signs))
    if turns == 0:
        return 'above everywhere' if signs[0] > 0 else 'below everywhere'
    return ('holds' if signs[0] < 0 else 'reversed') if turns == 1 else 'mixed'
