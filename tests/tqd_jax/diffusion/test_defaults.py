"""The table of published samplings: numbers that follow from it, and the negative prompt byte by byte."""
import hashlib

import pytest

from tqd_jax.diffusion.defaults import DEFAULTS
from tqd_jax.diffusion.sampler import stages


@pytest.mark.parametrize('name', DEFAULTS)
def test_sizes_fit_the_models_latents(name):
    """4 k + 1 frames; sides that are whole patches of latents."""
    one = DEFAULTS[name]
    multiple = 32 if name == '2.2 TI2V-5B' else 16
    assert one.frames % 4 == 1 and all(side % multiple == 0 for size in one.sizes for side in size)
    assert len(one.negative.split('，')) == 28 and hashlib.sha256(one.negative.encode()).hexdigest().startswith('ce96e0324e4b54ce')


def test_only_a14b_has_two_experts_and_26_of_its_40_steps_are_of_high_noise():
    part = lambda stage: (stage.expert, stage.stop - stage.start, stage.guidance)
    parts = {name: [part(stage) for stage in stages(one.sampling)] for name, one in DEFAULTS.items()}
    assert parts.pop('2.2 A14B') == [('high', 26, 4.0), ('low', 14, 3.0)]
    assert all(found == [(None, 50, 5.0)] for found in parts.values()) and len(parts) == 3
