"""Attention on a mesh. Devices of a context hold parts of the tokens; for self-attention they exchange them for all tokens of some heads.

That is Ulysses (Jacobs et al. 2023, arXiv:2309.14509): one all-to-all of queries, keys and values each, and one of the output. Attention to
the text needs none: every device has its keys.
"""
from collections.abc import Callable

import jax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from transfer_jax.runtime.parallel.mesh import ROWS, row_parts

Queries = Float[Array, 'batch queries heads width']
Keys = Float[Array, 'batch keys heads width']


def splits(tokens: int, heads: int, mesh: Mesh | None) -> bool:
    """Whether tokens and heads are split over the context of a mesh."""
    context = 1 if mesh is None else mesh.shape['context']
    return context > 1 and tokens % context == 0 and heads % context == 0


def on_devices(attention: Callable, q: Queries, k: Keys, v: Keys, mesh: Mesh, *, same: bool) -> Queries:
    """attention(q, k, v) of [B, S, N, H], every device for its part of the batch and, where the context splits them, its part of heads or
    queries.

    same: whether keys and values are of the same tokens as the queries. A batch that does not divide over the mesh, or tokens and heads
    that do not divide over its context, are computed whole on every device.
    """
    rows = ROWS if len(q) % row_parts(mesh) == 0 else None
    whole, part = PartitionSpec(rows), PartitionSpec(rows, 'context')
    if not splits(q.shape[1], q.shape[2], mesh):
        return _mapped(attention, mesh, (whole,) * 3, whole)(q, k, v)
    if not same:
        return _mapped(attention, mesh, (part, whole, whole), part)(q, k, v)
    return _mapped(lambda *qkv: _exchanged(attention(*(_exchanged(x, 2, 1) for x in qkv)), 1, 2), mesh, (part,) * 3, part)(q, k, v)


def _mapped(function, mesh, inputs, outputs):
    return jax.shard_map(function, mesh=mesh, in_specs=inputs, out_specs=outputs, check_vma=False)


def _exchanged(x, split, joined):
    """Splits one axis over the devices of the context and joins the parts of the other."""
    return jax.lax.all_to_all(x, 'context', split, joined, tiled=True)
