"""fisher_gram against per-example gradients held in memory: time, memory, and the spread of each kind's diagonal over draws.

    python -m benchmarks.fisher [--rounds 5] [--draws 30] [--seeds 3]
"""
import argparse
import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.fisher.methods import HELD, METHODS, WIDTHS, K, N, draw_examples, init, log_prob, logits, problem
from benchmarks.memory import peak
from benchmarks.timing import interleaved, ratio_of_medians, write_page
from transfer_jax.fisher import dimension, fisher_gram

COSTS = """MLP {sizes}, {size} parameters; n = 2000, K = 5, float32, seed 0; {rounds} interleaved rounds. Compiled MB: temporaries and
result, as XLA plans them; peak MB: what a first run adds to the resident peak of a process of its own. `gradients` are vmap(grad), all
examples at once or in minibatches, times the differences, either as one [n, d] or leaf by leaf. Aim: held gradients take at least 15
times as long and 20 times the memory."""
SPREADS = """Relative standard deviation of diag(G) over {draws} fresh draws of 2000 examples: mean (smallest to largest) over
5 differences of each of {seeds} seeds. Labels are sampled from the model, so `empirical` estimates what `true` is, which sums over
the labels; `gauss_newton` is another quantity, and its spread is relative to its own mean. Standard normal
inputs; untrained models, logits scaled to two confidences."""


def compile_method(name):
    """(a function that runs the method and blocks, bytes of its temporaries and result)."""
    params, deltas = problem(0)
    arguments = params, deltas, draw_examples(params, jax.random.key(0))
    program = jax.jit(METHODS[name]).lower(*arguments).compile()
    memory = program.memory_analysis()
    return lambda: jax.block_until_ready(program(*arguments)), memory.temp_size_in_bytes + memory.output_size_in_bytes


def peak_in_own_process(name):
    """MB by which a first run raises the peak resident memory of a fresh process."""
    done = subprocess.run([sys.executable, '-m', 'benchmarks.fisher', '--peak-of', name], capture_output=True, text=True, check=True)
    return float(done.stdout)


def print_peak(name):
    """Prints what peak_in_own_process reads."""
    run, _ = compile_method(name)
    before = peak()
    run()
    print(peak() - before)


def costs(rounds):
    """The page's first table: every method, and fisher_gram's share of its machine's matrix products."""
    runs, sizes = zip(*(compile_method(name) for name in METHODS), strict=True)
    product = jax.jit(lambda a, b: a @ b)
    a, b = jnp.ones((N, WIDTHS[0])), jnp.ones(WIDTHS[:2])
    ten = lambda: [product(a, b).block_until_ready() for _ in range(10)]
    seconds = interleaved(dict(zip(METHODS, runs, strict=True)) | {'product': ten}, rounds)
    ours, lines = 'fisher_gram, true', []
    for name, size in zip(METHODS, sizes, strict=True):
        ratio, low, high = ratio_of_medians(seconds, name, ours)
        lines.append(f'| {name} | {1e3 * np.median(seconds[name]):.0f} | {ratio:.1f} ({low:.1f} to {high:.1f}) | {size / 1e6:.1f} | '
                     f'{size / sizes[0]:.1f} | {peak_in_own_process(name):.0f} |')
    over = lambda name: ratio_of_medians(seconds, name, ours)[0]
    layers = np.multiply(WIDTHS[:-1], WIDTHS[1:])
    work = 2e-9 * N * (layers.sum() * (1 + K) + layers[1:].sum() * K)  # forward; x dW of each delta, and dx W above the first layer
    speed = 2e-9 * N * layers[0] * 10 / np.median(seconds['product'])
    return ['| method | median ms | over the first (10th to 90th percentile of rounds) | compiled MB | over the first | peak MB |',
            '|---|---|---|---|---|---|', *lines, '',
            f'The first does {work:.1f} GFLOP of matrix products, at {work / np.median(seconds[ours]):.0f} GFLOP/s; '
            f'one large product alone, in the same rounds, runs at {speed:.0f} GFLOP/s.', '',
            f'Over its own time, held gradients as [n, d] take {over("gradients [n, d]"):.1f}, and the fastest way here to hold them '
            f'{min(map(over, HELD)):.1f}: there the aim of 15 is {"met" if min(map(over, HELD)) >= 15 else "missed"}.']


def spreads(seeds, draws):
    """The page's second table: relative standard deviation of diag(G) over draws, mean and range over seeds and differences."""
    kinds = {kind: jax.jit(functools.partial(fisher_gram, log_prob if kind == 'empirical' else logits, kind=kind))
             for kind in ('empirical', 'true', 'gauss_newton')}
    lines = []
    for confidence in (0.5, 2.0):
        spread, top = {kind: [] for kind in kinds}, []
        for seed in range(seeds):
            params, deltas = problem(seed, confidence)
            batches = [draw_examples(params, jax.random.fold_in(jax.random.key(seed), number)) for number in range(draws)]
            top.append(jax.nn.softmax(logits(params, batches[0])).max(-1).mean())
            for kind, gram in kinds.items():
                diagonals = np.stack([np.diagonal(gram(params, deltas, batch)) for batch in batches])
                spread[kind].append(diagonals.std(0, ddof=1) / diagonals.mean(0))
        cells = [f'{100 * np.mean(x):.2f} ({100 * np.min(x):.2f} to {100 * np.max(x):.2f})' for x in spread.values()]
        factor = np.mean(np.square(spread['empirical'])) / np.mean(np.square(spread['true']))
        lines.append(f'| {np.mean(top):.2f} | ' + ' | '.join(cells) + f' | {factor:.1f} |')
    return ['| mean largest probability | empirical, % | true, % | gauss_newton, % | variance, empirical over true |',
            '|---|---|---|---|---|', *lines]


def main():
    """Measures both and writes the page; its own processes get --peak-of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--draws', type=int, default=30)
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--peak-of', choices=METHODS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak_of:
        return print_peak(args.peak_of)
    size = dimension(init(jax.random.key(0)))
    write_page('fisher', 'The Fisher Gram matrix: forward-mode products against held gradients', [
        COSTS.format(sizes='-'.join(map(str, WIDTHS)), size=size, rounds=args.rounds), '', *costs(args.rounds), '',
        '## How far each kind spreads', '', SPREADS.format(draws=args.draws, seeds=args.seeds), '', *spreads(args.seeds, args.draws)])


if __name__ == '__main__':
    main()
