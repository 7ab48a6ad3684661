"""source_weights against what else solves it on a CPU: microseconds a problem, interleaved, with every solver's accuracy beside.

    python -m benchmarks.solver [--sources 3 5 20 100 500] [--batches 1 100 10000] [--rounds 7]

The others get each problem scaled and in their own form beforehand. DAQP is timed by its own clock, factorisation and solving: what
a caller of its C code would see; the rest are timed by call. Needs the extra [bench].
"""
import argparse
import time

import clarabel
import daqp
import jax
import numpy as np
import quadprog
import scipy.optimize
import scipy.sparse

from benchmarks.timing import write_page
from transfer_jax.weights import source_weights

SECONDS = 2.0  # that one solver may take a round; beyond it fewer problems are solved


def problems(sources, count, seed=0):
    """N [count, K] and G [count, K, K]: as many differences as sources, of scales that leave some sources out."""
    rng = np.random.default_rng([seed, sources])
    deltas = rng.standard_normal((count, sources, sources)) * 10 ** rng.uniform(-1, 1, (count, 1, sources))
    return 10 ** rng.uniform(2, 4, (count, sources)), np.einsum('bdk,bdl->bkl', deltas, deltas) / sources * 1e-3


def scaled(sizes, gram):
    """A of unit diagonal and b: minimise x'A x / 2 - b'x over x >= 0; u = b x."""
    root = np.sqrt(sizes)
    core = root[:, None] * gram * root
    c = 1 / np.sqrt(1 + np.diag(core))
    return c[:, None] * (np.eye(len(root)) + core) * c, c * root


def make_daqp(a, b):
    free = np.zeros((0, len(b)))
    upper, lower, sense = np.full(len(b), 1e30), np.zeros(len(b)), np.zeros(len(b), np.int32)

    def solve():
        x, _, _, info = daqp.solve(a, -b, free, upper, lower, sense)
        return x, info['setup_time'] + info['solve_time']

    return solve


def make_nnls(a, b):
    factor = np.linalg.cholesky(a)
    upper, right = factor.T.copy(), np.linalg.solve(factor, b)
    return timed(lambda: scipy.optimize.nnls(upper, right)[0])


def make_quadprog(a, b):
    eye, zeros = np.eye(len(b)), np.zeros(len(b))
    return timed(lambda: quadprog.solve_qp(a, b, eye, zeros)[0])


def make_clarabel(a, b):
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    matrix, eye = scipy.sparse.triu(scipy.sparse.csc_matrix(a), format='csc'), scipy.sparse.csc_matrix(-np.eye(len(b)))
    zeros, cones = np.zeros(len(b)), [clarabel.NonnegativeConeT(len(b))]
    return timed(lambda: np.array(clarabel.DefaultSolver(matrix, -b, eye, zeros, cones, settings).solve().x))


def timed(solve):
    """solve with its seconds."""
    def run():
        start = time.perf_counter()
        x = solve()
        return x, time.perf_counter() - start

    return run


PEERS = {'DAQP': make_daqp, 'nnls': make_nnls, 'quadprog': make_quadprog, 'Clarabel': make_clarabel}


def ours(sizes, gram):
    """(u [B, K], seconds a problem) of calls on the whole batch, one after the other as the others' are; arrays on the device."""
    arguments = jax.device_put((100.0, sizes, gram))
    calls = max(1, 1000 // len(sizes))

    def run():
        start = time.perf_counter()
        for _ in range(calls):
            u = jax.block_until_ready(source_weights(*arguments)).effective_sizes
        return u, (time.perf_counter() - start) / calls / len(sizes)

    run()
    return run


def row(sources, batch, rounds):
    """{solver: microseconds a problem, median over rounds} and {solver: largest relative distance from the best objective}."""
    sizes, gram = problems(sources, batch)
    run, forms = ours(sizes, gram), [scaled(n, g) for n, g in zip(sizes[:1000], gram[:1000], strict=True)]
    times, values = {'ours': []}, {}
    for _ in range(rounds):
        u, seconds = run()
        times['ours'].append(seconds)
        values['ours'] = [value(a, b, u[i] / b) for i, (a, b) in enumerate(forms)]
        for name, make in PEERS.items():
            spent, answers, allowed = [], [], time.perf_counter() + SECONDS
            for a, b in forms:
                x, seconds = make(a, b)()
                spent.append(seconds)
                answers.append(value(a, b, np.maximum(x, 0)))
                if time.perf_counter() > allowed:
                    break
            times.setdefault(name, []).append(np.mean(spent))
            values[name] = answers
    best = [min(known) for known in zip(*(v[:min(map(len, values.values()))] for v in values.values()), strict=True)]
    worst = {name: max((v - b) / abs(b) for v, b in zip(known, best, strict=False)) for name, known in values.items()}
    return {name: 1e6 * float(np.median(seconds)) for name, seconds in times.items()}, worst


def value(a, b, x):
    x = np.asarray(x, np.float64)
    return x @ a @ x / 2 - b @ x


def main():
    """Times every size and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sources', type=int, nargs='+', default=[3, 5, 20, 100, 500])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 100, 10000])
    parser.add_argument('--rounds', type=int, default=7)
    args = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    names, lines = ['ours', *PEERS], []
    for sources in args.sources:
        for batch in args.batches:
            if batch * sources**2 * 8 > 1e9:
                continue
            micro, worst = row(sources, batch, args.rounds)
            cells = [f'{micro[name]:.3g} ({worst[name]:.0e})' for name in names]
            ratio = micro['DAQP'] / micro['ours']
            lines.append(f'| {sources} | {batch} | ' + ' | '.join(cells) + f' | {ratio:.2f} | {micro["nnls"] / micro["ours"]:.2f} |')
            print(lines[-1], flush=True)
    write_page('solver', 'Optimal weights: microseconds a problem', [
        f'float64; medians of {args.rounds} interleaved rounds; in brackets the largest relative distance from the best objective.', '',
        '| K | batch | ' + ' | '.join(names) + ' | DAQP over ours | nnls over ours |', '|---' * (len(names) + 4) + '|', *lines])


if __name__ == '__main__':
    main()
