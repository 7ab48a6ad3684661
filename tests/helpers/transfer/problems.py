"""Transfer problems of many kinds, and their optima by other means: enumeration, an interior point, the conditions themselves."""
import itertools

import clarabel
import numpy as np
import scipy.sparse

KINDS = ('plain', 'diagonal', 'rank one', 'rank half', 'identical', 'opposed', 'zero', 'tiny', 'huge', 'mixed', 'empty')


def problems(kind, sources, count, seed=0):
    """(N0 [count], N [count, K], G [count, K, K]) in float64."""
    rng = np.random.default_rng([seed, sources, KINDS.index(kind)])
    rank = {'rank one': 1, 'rank half': max(1, sources // 2), 'identical': 1}.get(kind, sources)
    deltas = rng.standard_normal((count, rank, sources))
    if kind == 'identical':
        deltas[:] = deltas[..., :1]
    if kind == 'opposed':
        half = sources // 2
        deltas[..., half:2 * half] = -deltas[..., :half] * rng.uniform(0.3, 3, (count, 1, half))
    if kind == 'mixed':
        deltas *= 10 ** rng.uniform(-3, 3, (count, 1, sources))
    low, high = {'tiny': (-8, -7), 'huge': (6, 8)}.get(kind, (-4, 0))
    gram = np.einsum('bdk,bdl->bkl', deltas, deltas) / rank * 10 ** rng.uniform(low, high, (count, 1, 1)) * (kind != 'zero')
    if kind == 'diagonal':
        gram *= np.eye(sources)
    sizes = np.round(10 ** rng.uniform(1, 4, (count, sources)))
    if kind == 'empty':
        sizes *= rng.random(sizes.shape) > 0.3
    return np.round(10 ** rng.uniform(0, 3, count)), sizes, gram


def residual(sizes, gram, u):
    """How far u [K] is from 0 <= u complementary to (D + G) u - 1 >= 0, scaled by sqrt(N) and relative to |A||x| + |b|, in long double."""
    sizes, gram, u = (np.asarray(x, np.longdouble) for x in (sizes, gram, u))
    used = sizes > 0
    root = np.sqrt(sizes[used])
    core = root[:, None] * gram[np.ix_(used, used)] * root
    scale = 1 / np.sqrt(1 + np.diag(core))
    a, b = scale[:, None] * (np.eye(len(root)) + core) * scale, scale * root
    x = u[used] / root / scale
    if not used.any():
        return 0.0
    return float(np.max(np.abs(np.minimum(x, a @ x - b))) / np.max(np.abs(a) @ np.abs(x) + b))


def enumerated(sizes, gram):
    """u* [K] by solving on every support and keeping the one that satisfies all conditions best."""
    best = (np.inf, np.zeros(len(sizes)))
    for support in itertools.product([False, True], repeat=len(sizes)):
        support = np.array(support) & (sizes > 0)
        u = np.zeros(len(sizes))
        if support.any():
            root = np.sqrt(sizes[support])
            core = np.eye(len(root)) + root[:, None] * gram[np.ix_(support, support)] * root
            u[support] = root * np.linalg.solve(core, root)
        if u.min() >= 0:
            best = min(best, (residual(sizes, gram, u), u), key=lambda pair: pair[0])
    return best[1]


def objective(sizes, gram, u):
    """u'(D + G)u / 2 - 1'u of u [..., K], zero where N_k = 0, in long double."""
    sizes, gram, u = (np.asarray(x, np.longdouble) for x in (sizes, gram, u))
    variance = np.sum(u**2 / np.where(sizes > 0, sizes, 1), -1)
    return variance / 2 + np.sum(u * np.einsum('...kl,...l->...k', gram, u), -1) / 2 - u.sum(-1)


def by_clarabel(sizes, gram):
    """u* [K] by an interior-point solver, in the scaled unknown u / sqrt(N)."""
    root, count = np.sqrt(sizes), len(sizes)
    x = quadratic_program(np.eye(count) + root[:, None] * gram * root, -root, -np.eye(count), np.zeros(count))
    return np.maximum(x, 0) * root


def quantities_by_clarabel(target, sizes, gram):
    """n* [K] likewise, of the convex form in the shares v = (N0, n) / (N0 + sum n): v0/N0 + v'Gv, v0 + sum v = 1, 0 <= v_k <= v0 N_k/N0."""
    count = len(sizes)
    matrix = np.zeros((count + 1, count + 1))
    matrix[1:, 1:] = 2 * target * gram
    at_most = np.concatenate([-sizes[:, None] / target, np.eye(count)], 1)
    least = np.concatenate([np.zeros((count, 1)), -np.eye(count)], 1)
    rows = np.concatenate([np.ones((1, count + 1)), at_most, least])
    v = quadratic_program(matrix, np.eye(count + 1)[0], rows, np.eye(len(rows))[0], equalities=1)
    return np.clip(v[1:] * target / v[0], 0, sizes)


def quadratic_program(matrix, linear, rows, right, equalities=0):
    """argmin x'Px/2 + q'x with rows x <= right, the first of them equal."""
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    cones = [clarabel.ZeroConeT(equalities)] * (equalities > 0) + [clarabel.NonnegativeConeT(len(rows) - equalities)]
    upper = scipy.sparse.triu(scipy.sparse.csc_matrix(matrix), format='csc')
    return np.array(clarabel.DefaultSolver(upper, linear, scipy.sparse.csc_matrix(rows), right, cones, settings).solve().x)
