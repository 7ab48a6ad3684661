"""Searches the blocks of splash attention that are fastest on the chip at hand, and prints rows for tqd_jax/models/wan/tiles.py.

    python -m benchmarks.wan.tiles [--queries 32760 --keys 32760] [--heads 12]

Needs a TPU: says in one line that there is none. Passes are searched one after the other, each with the best of the others so far.
"""
import argparse
import dataclasses
import itertools
import sys
import time

import jax
import jax.numpy as jnp

from tqd_jax.models.wan.splash import splash
from tqd_jax.models.wan.tiles import Tiles, pads_little, tiles

QUERIES, KEYS, COMPUTE = (512, 1024, 2048, 3072), (512, 1024, 2048, 3072), (256, 512, 1024)
REPEATS = 10


def candidates(start, name, queries, keys):
    """Tiles like `start` with other blocks of one pass; those that pad a length much, or do not divide each other, are left out."""
    rest = (COMPUTE,) if name != 'dq' else ()
    for blocks in itertools.product(QUERIES, KEYS, *rest):
        one = dataclasses.replace(start, **{name: blocks})
        whole = all(one.queries % part[0] == 0 and one.keys % part[1] == 0 for part in (one.forward, one.dkv, one.dq))
        if whole and blocks[1] % blocks[-1] == 0 and pads_little(queries, one.queries) and pads_little(keys, one.keys):
            yield one


def seconds(blocks, inputs, backward):
    """Median time of attention, with its gradients where backward is asked for; None where it does not compile, as for lack of memory."""
    run = lambda *qkv: splash(*qkv, 'tpu', blocks)
    if backward:
        run = jax.grad(lambda *qkv: jnp.sum(splash(*qkv, 'tpu', blocks).astype(jnp.float32)), argnums=(0, 1, 2))
    try:
        program = jax.jit(run).lower(*inputs).compile()
    except jax.errors.JaxRuntimeError:
        return None
    jax.block_until_ready(program(*inputs))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(program(*inputs))
        times.append(time.perf_counter() - start)
    return sorted(times)[REPEATS // 2]


def search(queries, keys, heads, width=128):
    """The best Tiles found, and the seconds of forward and of forward and backward."""
    draw = lambda number, length: jax.random.normal(jax.random.key(number), (1, length, heads, width), jnp.bfloat16)
    inputs, best = (draw(0, queries), draw(1, keys), draw(2, keys)), tiles(queries, keys)
    for name in ('forward', 'dkv', 'dq'):
        timed = [(seconds(one, inputs, name != 'forward'), one) for one in [best, *candidates(best, name, queries, keys)]]
        best = min(((time, one) for time, one in timed if time is not None), key=lambda pair: pair[0])[1]
        print(f'{name}: {best}', flush=True)
    return best, seconds(best, inputs, False), seconds(best, inputs, True)


def main():
    """Searches and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--queries', type=int, default=32760)
    parser.add_argument('--keys', type=int, default=32760)
    parser.add_argument('--heads', type=int, default=12, help='of one device')
    args = parser.parse_args()
    device = jax.devices()[0]
    if device.platform != 'tpu':
        sys.exit(f'there is no TPU here (JAX has {device.device_kind}): blocks are searched on a chip')
    best, forward, both = search(args.queries, args.keys, args.heads)
    fields = ', '.join(str(value) for value in dataclasses.astuple(best))
    print(f'    {device.device_kind!r}: {Tiles.__name__}({fields}),  # {args.queries} x {args.keys}, {args.heads} heads: '
          f'{1e3 * forward:.1f} ms forward, {1e3 * both:.1f} ms with gradients')


if __name__ == '__main__':
    main()
