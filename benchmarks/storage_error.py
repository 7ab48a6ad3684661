"""The error of the model's output where frozen kernels are stored in bfloat16 or 8 bits, against float32.

    python -m benchmarks.storage_error [--dim 1536] [--layers 2] [--tokens 256]

The weights are random: kernels as a model starts, the rest moved off its start. Published weights have outliers, whose error is larger.
"""
import argparse
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import write_page
from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.frozen import EIGHT_BITS, STORAGES, stored
from tqd_jax.models.wan.storage import quantise


def in_storage(params, abstract):
    """Parameters in the dtypes of an abstract tree of `stored`, each matrix of a stack by itself."""
    if 'kernel_scale' in abstract:
        values, scales = zip(*(quantise(kernel, abstract['kernel'].dtype) for kernel in params['kernel']), strict=True)
        return {**params, 'kernel': np.stack(values), 'kernel_scale': np.stack(scales)}
    return {name: in_storage(value, abstract[name]) if isinstance(value, dict) else value.astype(abstract[name].dtype)
            for name, value in params.items()}


def size(params):
    """GB of a tree."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(params)) / 1e9


def random_params(config):
    """Fresh weights with all that starts at 0 moved off it."""
    rng = np.random.default_rng(0)
    move = lambda leaf: np.asarray(leaf) + np.float32(0.1 * leaf.shape[-2] ** -0.5 if leaf.ndim > 1 else 0.1) * rng.standard_normal(
        leaf.shape, np.float32)
    params = jax.tree.map(move, jax.jit(wan.init_params, static_argnums=0)(config, jax.random.key(0)))
    params['patch_out']['kernel'] = rng.standard_normal(params['patch_out']['kernel'].shape, np.float32) * config.dim**-0.5
    return params


def relative(output, exact):
    """|output - exact| / |exact|."""
    return float(jnp.linalg.norm(output - exact) / jnp.linalg.norm(exact))


def main():
    """Runs the forward pass with each storage and dtype, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dim', type=int, default=1536)
    parser.add_argument('--layers', type=int, default=2)
    parser.add_argument('--tokens', type=int, default=256)
    args = parser.parse_args()
    config = dataclasses.replace(wan.PRESETS['wan_1_3b'], layers=args.layers, heads=args.dim // 128, dtype='float32', remat='none',
                                 ffn_dim=args.dim * 35 // 6)
    params, rng = random_params(config), np.random.default_rng(1)
    x = rng.standard_normal((1, args.tokens // 64, 16, 16, 16), np.float32)
    text = rng.standard_normal((1, config.text_len, config.text_dim), np.float32)
    rows, exact = [], None
    for dtype in ('float32', 'bfloat16'):
        predict = jax.jit(wan.apply(dataclasses.replace(config, dtype=dtype)))
        for storage in STORAGES:
            frozen = in_storage(params, stored(jax.eval_shape(lambda: params), storage))
            output = predict({}, frozen, x, jnp.full(1, 0.5), text)
            exact = output if exact is None else exact
            rows.append(f'| {storage} | {dtype} | {size(frozen):.3f} | {100 * relative(output, exact):.2f} |')
    write_page('storage', 'The error of stored kernels', [
        f'Relative error of the output, |y - y0| / |y0|, y0 in float32 throughout: `wan_1_3b` cut to {args.layers} layers '
        f'of width {config.dim}, {args.tokens} tokens, random weights. {" and ".join(EIGHT_BITS)} have a float32 scale for each output '
        "of every kernel in the blocks; kernels of the text's projections are then bfloat16, all else float32.", '',
        '| kernels stored in | computed in | GB of weights | error, % |', '|---|---|---|---|', *rows])


if __name__ == '__main__':
    main()
