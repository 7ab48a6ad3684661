"""qpax's own documented example, 10,000 non-negative least squares of 5 variables, beside this solver's rounds; and single problems.

    python -m benchmarks.solver.documented [--rounds 7]

min |F x - g|^2 over x >= 0, F [10, 5] and g [10] standard normal (the batch of qpax's README). qpax runs in a process of its own, with a
time-out. Times are of both cores' wall clock after one warm-up, medians over rounds.
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from transfer_jax.solver.certificate import Scaled
from transfer_jax.solver.factor import scalar_ldl
from transfer_jax.solver.layout import LAST, in_chunks
from transfer_jax.solver.pivoting import run_rounds
from transfer_jax.solver.weights import plain_remainder_of
from transfer_jax.weights import source_weights

COUNT, ROWS, SIZE, CHUNK, TIMEOUT = 10000, 10, 5, 512, 120.0


def example(seed=0):
    """Q = F'F [B, 5, 5] and F'g [B, 5]."""
    rng = np.random.default_rng(seed)
    f, g = rng.standard_normal((COUNT, ROWS, SIZE)), rng.standard_normal((COUNT, ROWS))
    return np.einsum('bmk,bml->bkl', f, f), np.einsum('bmk,bm->bk', f, g)


@jax.jit
def ours(q, b):
    """x [B, 5] by the rounds that source_weights is solved by, scaled to unit diagonal."""
    scale = 1 / jnp.sqrt(jnp.diagonal(q, axis1=1, axis2=2))
    a = jnp.moveaxis(scale[:, :, None] * q * scale[:, None], 0, -1)

    def solve(a, b):
        problem = Scaled(a=a, low=jnp.zeros_like(b), b=b, noise=jnp.ones_like(b))
        return jnp.maximum(run_rounds(LAST, problem, scalar_ldl, plain_remainder_of, jnp.ones(b.shape, bool), 100, 0).x, 0)

    return scale * in_chunks(LAST, solve, CHUNK, a, (scale * b).T).T


def by_qpax(q, b):
    """x [B, 5] by qpax under jit and vmap, as its README has it."""
    import qpax
    none, nothing = jnp.zeros((0, SIZE)), jnp.zeros(0)
    return jax.jit(jax.vmap(lambda q, b: qpax.solve_qp(q, -b, none, nothing, -jnp.eye(SIZE), jnp.zeros(SIZE))[0]))(q, b)


def by_scipy(q, b):
    """x [B, 5] by SciPy's nnls on Cholesky factors, one problem after the other."""
    factors = np.linalg.cholesky(np.asarray(q))
    right = np.linalg.solve(factors, np.asarray(b)[..., None])[..., 0]
    return np.stack([scipy.optimize.nnls(factor.T, one)[0] for factor, one in zip(factors, right, strict=True)])


SOLVERS = {'ours': ours, 'qpax': by_qpax, 'SciPy nnls': by_scipy}


def measure(name, rounds):
    """{seconds: median of the whole batch, worst: largest relative distance from the optimum's value, of 1000 problems}."""
    q, b = example()
    solve = SOLVERS[name]
    arguments = jax.device_put((q, b))
    x, seconds = np.asarray(solve(*arguments)), []
    for _ in range(rounds):
        start = time.perf_counter()
        x = np.asarray(solve(*arguments))
        seconds.append(time.perf_counter() - start)
    value = lambda x: np.einsum('bk,bkl,bl->b', x, q[:1000], x) / 2 - np.sum(b[:1000] * x, 1)
    best = value(by_scipy(q[:1000], b[:1000]))
    return {'seconds': statistics.median(seconds), 'worst': float(np.max((value(np.maximum(x[:1000], 0)) - best) / (1 + abs(best))))}


def single(sources, calls=1000):
    """Microseconds of source_weights on one problem of NumPy arrays, median of ten blocks of calls."""
    sizes, gram = np.linspace(100, 900, sources), 1e-3 * (np.eye(sources) + 0.3)
    blocks = []
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(calls // 10):
            jax.block_until_ready(source_weights(100.0, sizes, gram).weights)
        blocks.append((time.perf_counter() - start) / (calls // 10))
    return 1e6 * statistics.median(blocks)


def lines(rounds):
    """The part of the page: qpax's example, then single problems."""
    out = ["qpax's documented example: 10,000 non-negative least squares of 5 variables (F [10, 5], g [10] standard normal), float64:", '',
           '| solver | ms a batch | us a problem | largest distance from the optimum |', '|---|---|---|---|']
    for name in SOLVERS:
        command = [sys.executable, '-m', 'benchmarks.solver.documented', '--alone', name, '--rounds', str(rounds)]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
            found = json.loads(run.stdout.splitlines()[-1])
            out.append(f'| {name} | {1e3 * found["seconds"]:.3g} | {1e6 * found["seconds"] / COUNT:.3g} | {found["worst"]:.0e} |')
        except subprocess.TimeoutExpired:
            out.append(f'| {name} | not within {TIMEOUT:.0f} s | | |')
        except subprocess.CalledProcessError as error:
            out.append(f'| {name} | failed: {(error.stderr.splitlines() or [""])[-1][:80]} | | |')
    cells = ', '.join(f'K {sources}: {single(sources):.3g} us' for sources in (1, 2, 3, 5, 8))
    return [*out, '', f'One problem of NumPy arrays by `source_weights` (up to K 5 without JAX): {cells}.', '']


def main():
    """Prints the part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--alone', choices=SOLVERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    jax.config.update('jax_cpu_enable_async_dispatch', False)
    print(json.dumps(measure(args.alone, args.rounds)) if args.alone else '\n'.join(lines(args.rounds)))


if __name__ == '__main__':
    main()
