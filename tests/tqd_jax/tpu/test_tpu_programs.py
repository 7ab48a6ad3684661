"""The training step at the width and tokens of Wan 1.3B, two blocks deep, compiled for TPUs without one: nothing here runs on a TPU."""
import re

import pytest
from topology import TOKENS, collectives, lowered, tpu_mesh

from tqd_jax.models.wan.lora import LoraConfig
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.compiled import compiled

pytest.importorskip('libtpu', reason='make tpu installs it')
pytestmark = [pytest.mark.tpu, pytest.mark.filterwarnings('default')]
GIB = 2**30
QUICK = {'exec_time_optimization_effort': -1.0}  # the search for the fastest tiles is left out
WIDTH = 1536  # of a token
FULL, KEPT = 8, 6  # kernels of a block: 2 forward (self and cross), 4 backward; and 2 forward again where nothing is kept


def program(mesh, **changes):
    """(text, GiB of a chip at the peak) of a step."""
    done = compiled(lowered(mesh, **changes), 'a step', 'take less', QUICK)
    return done.as_text(), done.memory_analysis().peak_memory_in_bytes / GIB


def kernels(text):
    """The number of Mosaic kernels in a program, one scanned block forward and one backward."""
    return len(re.findall('custom_call_target="tpu_custom_call"', text))


def check_collectives(text, context, reduce='f32'):
    """Tokens are exchanged for heads and never gathered; kernels travel in bfloat16, their gradients in the dtype `reduce`."""
    found = collectives(text)
    assert context == 1 or len(found['all-to-all']) >= 8, found.keys()
    tokens = TOKENS * WIDTH // context
    assert not [one for one in found.get('all-gather', []) if one[1] >= tokens], found['all-gather']
    assert ('bf16', 8960 * WIDTH) in found['all-gather']
    sums = {dtype for kind in ('all-reduce', 'reduce-scatter') for dtype, size in found.get(kind, []) if size >= WIDTH * WIDTH // 8}
    assert reduce in sums, sums


def test_lora_on_one_v5e():
    text, need = program(tpu_mesh('v5e:1x1'), trains='lora', lora=LoraConfig())
    assert kernels(text) == FULL and collectives(text) == {} and need < 6, need


def test_context_on_v6e():
    text, need = program(tpu_mesh('v6e:2x4', fsdp=2, context=4), remat='attention')
    assert kernels(text) == KEPT and need < 8, need
    check_collectives(text, 4)


@pytest.mark.parametrize('name, sizes, slices', [('v5p:2x2x1', (1, 2, 2), 1), ('tpu7x:2x2x1', (1, 4, 2), 1), ('v6e:2x4', (2, 2, 4), 2)])
def test_fsdp_and_context_on_other_chips_and_on_two_slices(name, sizes, slices):
    text, need = program(tpu_mesh(name, *sizes, slices=slices), reduce='bfloat16')
    assert kernels(text) == FULL and need < 12, need
    check_collectives(text, sizes[2], 'bf16')


def test_a_step_that_is_too_large_is_a_line_with_what_it_needs():
    with pytest.raises(UserError, match=r"^a step needs \d+\.\d\d GiB of a device's memory, and there are 15\.7\d: take less$"):
        program(tpu_mesh('v5e:1x1'), layers=8, rows=2)
