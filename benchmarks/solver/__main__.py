"""source_weights against other solvers on a CPU: microseconds a problem, and every solver's accuracy.

    python -m benchmarks.solver [--sources 3 5 20 100 500] [--batches 1 100 10000] [--rounds 7]

The others get each problem scaled and in their own form beforehand, and direct calls, one problem after the other. Slow solvers and
those that may hang run in processes of their own, with a time-out. Needs the extra [bench].
"""
import argparse
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.solver import documented
from benchmarks.solver.calls import CALLS, alone, in_own_process, one_by_one, value
from benchmarks.solver.peers import ALONE, PEERS, scaled
from benchmarks.timing import write_page
from transfer_jax.weights import source_weights

LARGEST = 1e9  # bytes of gram
AIMS = {'DAQP': {(3, 1): 0.3, (5, 1): 0.3, (3, 100): 3.5, (5, 100): 3.5, (20, 100): 2, (100, 100): 5, (3, 10000): 30, (5, 10000): 10,
                 (20, 10000): 2, (500, 1): 20, (500, 100): 20},
        'nnls': {(100, 100): 2.5}, 'CVXPY': {(3, 100): 2500, (5, 100): 2500}}  # their time over ours, for (K, batch)
JAX_AIM = 6  # qpax', everywhere
OVER = ('DAQP', 'DAQP, own clock', 'nnls', 'qpax', 'CVXPY')  # compared with


def problems(sources, count, seed=0):
    """N [count, K] and G [count, K, K]: a part of every difference is common to all, as the target's own error makes it."""
    rng = np.random.default_rng([seed, sources])
    own = rng.standard_normal((count, sources, sources)) * 10 ** rng.uniform(-1, 1, (count, 1, sources))
    deltas = own + rng.standard_normal((count, sources, 1))
    return 10 ** rng.uniform(2, 4, (count, sources)), np.einsum('bdk,bdl->bkl', deltas, deltas) / sources * 1e-3


def ours(sizes, gram):
    """(u [B, K], seconds a problem) of calls on the whole batch, one after the other, like those of the others; arrays on the device."""
    arguments = jax.device_put((100.0, sizes, gram))
    calls = max(3, min(CALLS, 10000 // sizes.size))

    def run():
        jax.block_until_ready(source_weights(*arguments))
        start = time.perf_counter()
        for _ in range(calls):
            u = jax.block_until_ready(source_weights(*arguments)).effective_sizes
        return u, (time.perf_counter() - start) / calls / len(sizes)

    run()
    return run


def nothing():
    """Microseconds of a jitted call with as many arguments and results as ours that does next to nothing."""
    call = jax.jit(lambda target, sizes, gram: (sizes + 1, sizes + 2, sizes + 3, target + 1, target + 2, target + 3, target + 4))
    arguments = jax.device_put((100.0, jnp.ones(5), jnp.ones((5, 5))))
    call(*arguments)
    start = time.perf_counter()
    for _ in range(1000):
        jax.block_until_ready(call(*arguments))
    return 1e3 * (time.perf_counter() - start)


def forms_of(sizes, gram):
    """At most 1000 of the problems in the others' form."""
    return [scaled(n, g) for n, g in zip(sizes[:1000], gram[:1000], strict=True)]


def row(sources, batch, rounds):
    """{solver: microseconds a problem, median over rounds} and {solver: largest relative distance from the best objective}."""
    sizes, gram = problems(sources, batch)
    run, forms = ours(sizes, gram), forms_of(sizes, gram)
    times, values = {'ours': []}, {}
    for _ in range(rounds):
        u, seconds = run()
        times['ours'].append(seconds)
        values['ours'] = [value(a, b, u[i] / b) for i, (a, b) in enumerate(forms)]
        for name, make in PEERS.items():
            seconds, values[name] = one_by_one(make, forms)
            times.setdefault(name, []).append(seconds)
    for name in ALONE:
        times[name], values[name] = in_own_process(name, sources, batch)
    best = np.min([own + [np.inf] * (len(forms) - len(own)) for own in values.values()], 0)
    worst = {name: max([(v - b) / abs(b) for v, b in zip(own, best, strict=False)], default=np.nan) for name, own in values.items()}
    return {name: 1e6 * float(np.median(seconds)) for name, seconds in times.items()}, worst


def verdict(sources, batch, ratios):
    """Which aims a row meets, from other solvers' time over ours."""
    aims = {name: factors[sources, batch] for name, factors in AIMS.items() if (sources, batch) in factors} | {'qpax': JAX_AIM}
    return '; '.join(f'{name} {aim}: {"met" if ratios[name] >= aim else "missed"}' for name, aim in aims.items())


def main():
    """Times every size and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sources', type=int, nargs='+', default=[3, 5, 20, 100, 500])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 100, 10000])
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--alone', choices=ALONE, help=argparse.SUPPRESS)
    args = parser.parse_args()
    jax.config.update('jax_enable_x64', True)
    jax.config.update('jax_cpu_enable_async_dispatch', False)  # else every call would wake a thread
    if args.alone:
        return alone(args.alone, forms_of(*problems(args.sources[0], args.batches[0])))
    idle, first = nothing(), documented.lines(args.rounds)
    lines = table(args)
    write_page('solver', 'Optimal weights: microseconds a problem', [
        f'float64; medians of {args.rounds} interleaved rounds; in brackets the largest relative distance from the best objective. OSQP, '
        'CVXPY and qpax run by themselves, once each; nan where that took longer than the time-out or failed. The last columns are other '
        f'solvers\' time over ours. A jitted call that does nothing took {idle:.0f} us here. '
        'JAX dispatches at once (jax_cpu_enable_async_dispatch is off), which saves small calls the waking of a thread.', '',
        *first, '', *lines])


def table(args):
    """Lines of the table: a row for each number of sources and batch; each is printed when it is done."""
    names = ['ours', *PEERS, *ALONE]
    lines = ['| K | batch | ' + ' | '.join(names + [f'{name} / ours' for name in OVER] + ['aims for these ratios']) + ' |',
             '|---' * (len(names) + len(OVER) + 3) + '|']
    for sources, batch in itertools.product(args.sources, args.batches):
        if batch * sources**2 * 8 <= LARGEST:
            micro, worst = row(sources, batch, args.rounds)
            ratios = {name: micro[name] / micro['ours'] for name in OVER}
            cells = [f'{micro[name]:.3g} ({worst[name]:.0e})' for name in names] + [f'{ratio:.2f}' for ratio in ratios.values()]
            lines.append(f'| {sources} | {batch} | ' + ' | '.join([*cells, verdict(sources, batch, ratios)]) + ' |')
            print(lines[-1], flush=True)
    return lines


if __name__ == '__main__':
    main()
