"""What the compiled step sends between eight devices and holds on each: collectives by kind, size and dtype, and no S x S array."""
import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import pytest
from spread_runs import CONFIG
from topology import collectives

from tqd_jax.models.wan.model import abstract_params, apply
from transfer_jax.runtime.parallel.mesh import make_mesh

TOKENS = 2 * 32 * 32


@pytest.fixture(scope='module')
def text():
    """The gradient's program at 2048 tokens, over a context of 4."""
    config = dataclasses.replace(CONFIG, mesh=make_mesh(2, 1, 4), attention='chunked', remat='full')
    predict = apply(config)
    loss = lambda params, x, t, words: jnp.mean(jnp.square(predict(params, {}, x, t, words)))
    shapes = [jax.ShapeDtypeStruct(*spec) for spec in (((2, 4, 64, 64, 3), jnp.float32), ((2,), jnp.float32), ((2, 3), jnp.int32))]
    return jax.jit(jax.grad(loss)).lower(abstract_params(config), *shapes).compile().as_text()


def test_the_sequence_is_exchanged_and_never_gathered(text):
    found = collectives(text)
    assert len(found['all-to-all']) >= 8  # q, k, v and the output, forward and backward
    field = TOKENS * math.prod(CONFIG.patch) * 3
    assert max(size for _, size in found.get('all-gather', [])) <= field < TOKENS * CONFIG.dim


def test_no_array_is_queries_by_keys(text):
    shapes = [[int(size) for size in shape.split(',')] for shape in set(re.findall(r'\b\w+\[([\d,]+)\]', text))]
    assert not [shape for shape in shapes if shape.count(TOKENS) > 1 or math.prod(shape) >= TOKENS**2]
