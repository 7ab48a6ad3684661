"""The training step at the width and tokens of Wan 1.3B, two blocks deep, compiled for TPUs without one: nothing here runs on a TPU."""
import re

import jax
import pytest
from topology import MODEL, TOKENS, collectives, lowered, tpu_mesh

from tqd_jax.models.wan import model as wan
from tqd_jax.models.wan.lora import LoraConfig
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.compiled import compiled

pytest.importorskip('libtpu', reason='make tpu installs it')
pytestmark = [pytest.mark.tpu, pytest.mark.filterwarnings('default')]
MIB = 2**20
QUICK = {'exec_time_optimization_effort': -1.0}  # the search for the fastest tiles is left out
WIDTH = MODEL.heads * MODEL.head_dim
FFN = WIDTH * MODEL.ffn_dim  # numbers of a block's largest kernel
LARGEST = 6 * WIDTH**2  # numbers of the model's largest kernel, of the time's projection: a quarter of the tokens' 32,760 x 1,536
# Mosaic kernels in the text, where all blocks are one loop forward and one backward: 2 forward (self and cross) and 2 for each's gradients;
# 2 forward again where attention is computed again
KERNELS = {'attention': 6, 'full': 8}
# of queries, keys, values and output; in the loop forward, in the same computed again, and in its gradients
EXCHANGES = 4 * 3
CASES = {  # chip -> the mesh's sizes, slices, and what differs from a step that trains all parameters and adds gradients up in float32
    'v5e:2x2': ((1, 1, 4), 1, {'trains': 'lora', 'lora': LoraConfig()}),
    'v5p:2x2x1': ((1, 2, 2), 1, {'reduce': 'bfloat16'}),
    'tpu7x:2x2x1': ((1, 4, 2), 1, {'reduce': 'bfloat16'}),
    'v6e:2x4': ((2, 2, 4), 2, {'remat': 'attention'})}


@pytest.mark.parametrize('name', [pytest.param(name, marks=pytest.mark.long) if name.endswith('x1') else name for name in CASES])
def test_a_step_on_a_mesh_with_context(name):
    sizes, slices, changes = CASES[name]
    done = compiled(lowered(tpu_mesh(name, *sizes, slices=slices), **changes), 'a step', 'take less', QUICK)
    text, found = done.as_text(), collectives(done.as_text())
    assert len(re.findall('custom_call_target="tpu_custom_call"', text)) == KERNELS[changes.get('remat', 'full')]
    assert [size for _, size in found['all-to-all']].count(TOKENS * WIDTH // sizes[2]) == EXCHANGES
    assert max(size for _, size in found['all-gather']) <= LARGEST < TOKENS * WIDTH, 'tokens are gathered'
    assert not square(text, sizes[2]), 'logits of all tokens'
    check_memory(done.memory_analysis(), sizes, changes)
    check_dtypes(found, changes)


def square(text, context):
    """Shapes that have an axis of all tokens and another of all that a device has at least."""
    sides = [sorted(map(int, shape.split(','))) for shape in set(re.findall(r'\b\w+\[(\d[\d,]*,\d+)\]', text))]
    return [shape for shape in sides if shape[-1] >= TOKENS and shape[-2] >= TOKENS // context]


def check_memory(sizes, mesh, changes):
    """Parameters, moments and average are split over fsdp and context; at the peak are those and six of a block's widest arrays."""
    parts = mesh[1] * mesh[2]
    numbers = sum(leaf.size for leaf in jax.tree.leaves(wan.abstract_params(MODEL)))
    state = numbers * (2 if changes.get('trains') == 'lora' else 16) // parts
    batch = 64 * MIB  # latents, text, and what is not split
    assert sizes.argument_size_in_bytes < state + batch
    assert sizes.peak_memory_in_bytes < state + batch + 6 * 4 * TOKENS // mesh[2] * MODEL.ffn_dim


def check_dtypes(found, changes):
    """Kernels travel in bfloat16, their gradients in the dtype `reduce`: whole, or split over eight in a ring."""
    assert ('bf16', FFN) in found['all-gather']
    sums = {dtype for kind in ('all-reduce', 'reduce-scatter', 'collective-permute') for dtype, size in found.get(kind, [])
            if size in (FFN, FFN // 2, FFN // 8)}
    frozen = changes.get('trains') == 'lora'
    assert sums == (set() if frozen else {'bf16' if changes.get('reduce') == 'bfloat16' else 'f32'})


def test_a_step_that_is_too_large_is_a_line_with_what_it_needs():
    large = lowered(tpu_mesh('v5e:1x1'), rows=64)
    with pytest.raises(UserError, match=r'^a step needs \d+\.\d\d GiB of a device\'s memory, and there are 15\.75: take less$'):
        compiled(large, 'a step', 'take less', QUICK)
