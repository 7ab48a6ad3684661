"""fisher_gram against per-example gradients held in memory: time, memory, and the spread of each kind's diagonal over draws.

    python -m benchmarks.fisher [--rounds 5] [--draws 30] [--seeds 3]
"""
import argparse
import functools
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved, ratio_of_medians, write_page
from transfer_jax.fisher import dimension, fisher_gram

WIDTHS, N, K = (784, 800, 450, 10), 2000, 5
COSTS = """MLP {sizes}, {size} parameters; n = 2000, K = 5, float32, seed 0; {rounds} interleaved rounds. Compiled MB: temporaries and
result, as XLA plans them; peak MB: what a first run adds to the resident peak of a process of its own. `gradients` are vmap(grad), all
examples at once or in minibatches, times the differences, either as one [n, d] or leaf by leaf. Aim: held gradients take at least 15
times as long and 20 times the memory."""
SPREADS = """Relative standard deviation of diag(G) over {draws} fresh draws of 2000 examples: mean (least to largest) over 5 differences of
each of {seeds} seeds. Labels are sampled from the model, so `empirical` estimates what `true` is, which sums over the labels;
`gauss_newton` is another quantity, and its spread is relative to its own mean. Standard normal
inputs; untrained models, logits scaled to two confidences."""


def init(key):
    """A list of (kernel, bias), outputs of about unit size."""
    keys = jax.random.split(key, len(WIDTHS) - 1)
    return [(jax.random.normal(k, (i, o)) * (2 / i) ** 0.5, jnp.zeros(o)) for k, i, o in zip(keys, WIDTHS[:-1], WIDTHS[1:], strict=True)]


def logits(params, example):
    """ReLU MLP, [10]."""
    x = example['x']
    for kernel, bias in params[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    return x @ params[-1][0] + params[-1][1]


def log_prob(params, example):
    return jax.nn.log_softmax(logits(params, example))[example['y']]


def problem(seed, confidence=1.0):
    """(params, deltas), the differences a tenth as large as params; confidence multiplies the logits."""
    model, *others = (init(jax.random.key(1000 * seed + k)) for k in range(K + 1))
    model[-1] = jax.tree.map(lambda x: confidence * x, model[-1])
    return model, jax.tree.map(lambda *leaves: 0.1 * jnp.stack(leaves), *others)


def drawn(params, key):
    """n fresh examples: standard normal inputs, labels from the model's own distribution."""
    x = jax.random.normal(key, (N, WIDTHS[0]))
    return {'x': x, 'y': jax.random.categorical(jax.random.fold_in(key, 1), logits(params, {'x': x}))}


def materialised(params, deltas, batch, flat, minibatch=N):
    """G from gradients of every example, held for `minibatch` examples at once; flat: as one [minibatch, d], else leaf by leaf."""
    as_rows = lambda tree: [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)]

    def products(part):
        gradients, differences = as_rows(jax.vmap(jax.grad(log_prob), (None, 0))(params, part)), as_rows(deltas)
        if flat:
            gradients, differences = [jnp.concatenate(gradients, 1)], [jnp.concatenate(differences, 1)]
        return sum(g @ delta.T for g, delta in zip(gradients, differences, strict=True))

    a = jax.lax.map(products, jax.tree.map(lambda x: x.reshape(N // minibatch, minibatch, *x.shape[1:]), batch)).reshape(N, K)
    return a.T @ a / (N * dimension(params))


METHODS = {'fisher_gram, true': lambda *problem: fisher_gram(logits, *problem, kind='true'),
           'fisher_gram, empirical': lambda *problem: fisher_gram(log_prob, *problem, kind='empirical'),
           'gradients [n, d]': functools.partial(materialised, flat=True),
           'gradients leaf by leaf': functools.partial(materialised, flat=False),
           'minibatches of 200, leaf by leaf': functools.partial(materialised, flat=False, minibatch=200),
           'minibatches of 20, leaf by leaf': functools.partial(materialised, flat=False, minibatch=20)}
HELD = [name for name in METHODS if 'fisher_gram' not in name]


def compiled(name):
    """(a function that runs the method and blocks, bytes of its temporaries and result)."""
    params, deltas = problem(0)
    arguments = params, deltas, drawn(params, jax.random.key(0))
    program = jax.jit(METHODS[name]).lower(*arguments).compile()
    memory = program.memory_analysis()
    return lambda: jax.block_until_ready(program(*arguments)), memory.temp_size_in_bytes + memory.output_size_in_bytes


def peak_in_own_process(name):
    """MB by which a first run raises the peak resident memory of a fresh process."""
    done = subprocess.run([sys.executable, '-m', 'benchmarks.fisher', '--peak-of', name], capture_output=True, text=True, check=True)
    return float(done.stdout)


def print_peak(name):
    run, _ = compiled(name)
    # kB; the peak that getrusage tells is handed down from the process that started this one
    peak = lambda: int(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])
    before = peak()
    run()
    print((peak() - before) / 1e3)


def costs(rounds):
    """The page's first table: every method, and fisher_gram's share of its machine's matrix products."""
    runs, sizes = zip(*(compiled(name) for name in METHODS), strict=True)
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
            f'Over its own time, held gradients as [n, d] take {over("gradients [n, d]"):.1f}, and the fastest way to hold them found here '
            f'{min(map(over, HELD)):.1f}: there the aim of 15 is {"met" if min(map(over, HELD)) >= 15 else "missed"}.']


def spreads(seeds, draws):
    """The page's second table: relative standard deviation of diag(G) over draws, mean and range over seeds and differences."""
    kinds = {kind: jax.jit(functools.partial(fisher_gram, log_prob if kind == 'empirical' else logits, kind=kind))
             for kind in ('empirical', 'true', 'gauss_newton')}
    lines = []
    for confidence in (0.5, 2.0):
        found, top = {kind: [] for kind in kinds}, []
        for seed in range(seeds):
            params, deltas = problem(seed, confidence)
            batches = [drawn(params, jax.random.fold_in(jax.random.key(seed), number)) for number in range(draws)]
            top.append(jax.nn.softmax(logits(params, batches[0])).max(-1).mean())
            for kind, gram in kinds.items():
                diagonals = np.stack([np.diagonal(gram(params, deltas, batch)) for batch in batches])
                found[kind].append(diagonals.std(0, ddof=1) / diagonals.mean(0))
        cells = [f'{100 * np.mean(x):.2f} ({100 * np.min(x):.2f} to {100 * np.max(x):.2f})' for x in found.values()]
        factor = np.mean(np.square(found['empirical'])) / np.mean(np.square(found['true']))
        lines.append(f'| {np.mean(top):.2f} | ' + ' | '.join(cells) + f' | {factor:.1f} |')
    return ['| mean largest probability | empirical, % | true, % | gauss_newton, % | variance, empirical over true |',
            '|---|---|---|---|---|', *lines]


def main():
    """Measures both and writes the page; --peak-of is what it asks of its own processes."""
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
