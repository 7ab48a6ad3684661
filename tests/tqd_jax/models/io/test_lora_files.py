"""LoRA files of every published layout mean the same matrices, whatever their ranks and wherever alpha is."""
import json

import jax.numpy as jnp
import numpy as np
import pytest
from loras import CONFIG, LAYOUTS, NAMES, ONE, ZERO, assert_same, in_layout, published

from tqd_jax.models.io.lora import is_effective, read_lora, summary
from tqd_jax.models.io.lora_alpha import unify


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_means_the_same_matrices(layout):
    pairs = published()
    lora = read_lora(in_layout(layout, pairs), CONFIG)
    assert_same(lora, pairs)
    assert (lora.kind, lora.rank, lora.alpha, lora.modules, lora.blocks, lora.absent) == (LAYOUTS[layout][3], 4, 4.0, 30, 3, 0)
    assert lora.targets == tuple(NAMES) and not lora.has_alpha


def test_a_subset_of_modules_makes_a_tree_of_these_alone():
    pairs = published(targets=('attention/q', 'down'))
    lora = read_lora(in_layout('comfyui', pairs), CONFIG)
    assert_same(lora, pairs)
    assert lora.targets == ('attention/q', 'down')
    assert lora.tree['blocks'].keys() == {'attention', 'down'} and lora.tree['blocks']['attention'].keys() == {'q'}


def test_the_first_channels_of_q_are_the_even_ones_of_a_head():
    pairs = published(targets=('attention/q', 'cross/q'))
    blocks = read_lora(in_layout('comfyui', pairs), CONFIG).tree['blocks']
    b = pairs[1, 'attention/q'][1]
    np.testing.assert_array_equal(blocks['attention']['q']['lora_b'][1][:, :8], b[[0, 2, 4, 6, 8, 10, 1, 3]].T)
    np.testing.assert_array_equal(blocks['cross']['q']['lora_b'][1], pairs[1, 'cross/q'][1].T)


def test_blocks_without_a_module_are_zero_and_counted():
    pairs = published(targets=('up',), blocks=(0, 2))
    lora = read_lora(in_layout('kohya', pairs, dict.fromkeys(pairs, 4)), CONFIG)
    assert_same(lora, pairs)
    assert not lora.tree['blocks']['up']['lora_a'][1].any()
    assert summary(lora) == '2 modules of 2 blocks, 1 absent and zero, rank 4, alpha 4, kind C'


def test_other_dtypes_are_read_by_value():
    coarse = {place: tuple(part.astype(jnp.bfloat16) for part in pair) for place, pair in published().items()}
    pairs = {place: tuple(part.astype('f') for part in pair) for place, pair in coarse.items()}
    assert_same(read_lora(in_layout('diffusers', coarse), CONFIG), pairs)


@pytest.mark.parametrize('form', ['tensors', 'tensors of one element', 'metadata', 'metadata of the tensors', 'adapter_config'])
def test_alpha_is_read_wherever_it_is(form):
    pairs = published()
    tensors = in_layout('diffusers', pairs, dict.fromkeys(pairs, 2.0) if 'tensors' in form and form != 'metadata of the tensors' else None)
    if form == 'tensors of one element':
        tensors = {key: tensor.reshape(1) if key.endswith('alpha') else tensor for key, tensor in tensors.items()}
    settings = {'r': 4, 'lora_alpha': 2, 'target_modules': ['to_q'], 'rank_pattern': {}, 'alpha_pattern': None}
    metadata = {'format': 'pt', 'lora_adapter_metadata': json.dumps({f'transformer.{key}': value for key, value in settings.items()})}
    given = {'metadata': {'metadata': metadata}, 'adapter_config': {'adapter_config': settings}}.get(form, {})
    if form == 'metadata of the tensors':
        tensors = type('Tensors', (dict,), {'metadata': metadata})(tensors)
    lora = read_lora(tensors, CONFIG, **given)
    assert_same(lora, pairs, 0.5)
    assert (lora.rank, lora.alpha) == (4, 2.0)
    assert summary(lora) == '30 modules of 3 blocks, rank 4, alpha 2, kind A'


def test_metadata_without_the_model_prefix_is_read():  # as save_lora_adapter writes it
    pairs = published()
    metadata = {'lora_adapter_metadata': json.dumps({'r': 4, 'lora_alpha': 16})}
    assert read_lora(in_layout('one diffusers model', pairs), CONFIG, metadata=metadata).alpha == 16


def test_without_any_alpha_the_line_says_what_is_assumed():
    assert summary(read_lora(in_layout('peft', published()), CONFIG)).endswith('rank 4, alpha 4 (none given: scale 1), kind E')


def test_tensors_come_before_settings():
    pairs = published()
    lora = read_lora(in_layout('comfyui', pairs, dict.fromkeys(pairs, 8)), CONFIG, adapter_config={'lora_alpha': 2})
    assert_same(lora, pairs, 2.0)


def test_rank_stabilised_settings_scale_by_the_root():
    pairs = published(rank=4)
    lora = read_lora(in_layout('peft', pairs), CONFIG, adapter_config={'r': 4, 'lora_alpha': 6, 'use_rslora': True})
    assert_same(lora, pairs, 6 / 2)


def test_mixed_ranks_of_one_scale_are_padded_alone():
    pairs = published(rank=lambda block, target: {'up': 6}.get(target, 2 + block))
    lora = read_lora(in_layout('comfyui', pairs), CONFIG)
    assert_same(lora, pairs)
    assert (lora.rank, lora.alpha) == (6, 6.0)
    np.testing.assert_array_equal(lora.tree['blocks']['cross']['v']['lora_b'][0][:2], pairs[0, 'cross/v'][1].T)


def test_mixed_scales_are_folded_into_b_exactly_where_powers_of_two():
    pairs = published(rank=lambda block, target: 8 if target == 'down' else 4)
    alphas = {(block, target): 1 if target == 'down' else 2 ** (block + 1) for block, target in pairs}
    lora = read_lora(in_layout('kohya', pairs, alphas), CONFIG)
    assert_same(lora, pairs, {place: alphas[place] / pairs[place][0].shape[0] for place in pairs})
    assert (lora.rank, lora.alpha) == (8, 8.0)
    np.testing.assert_array_equal(lora.tree['blocks']['down']['lora_b'][2], pairs[2, 'down'][1].T / 8)


def test_other_scales_are_folded_within_a_rounding():
    pairs = published(rank=3)
    alphas = {(block, target): 1 + block for block, target in pairs}
    lora = read_lora(in_layout('comfyui', pairs, alphas), CONFIG)
    assert_same(lora, pairs, {place: alphas[place] / 3 for place in pairs})
    exact = pairs[0, 'up'][1].T.astype('d') / 3
    np.testing.assert_array_equal(lora.tree['blocks']['up']['lora_b'][0], exact.astype('f'))


def test_one_scale_needs_no_factor():
    assert unify([4, 4], [3.0, 3.0]) == (4, 3.0, [1.0, 1.0])
    assert unify([4, 8], [2.0, 4.0]) == (8, 4.0, [1.0, 1.0])
    assert unify([4, 8], [2.0, 8.0]) == (8, 8.0, [0.5, 1.0])


def test_patterns_of_the_settings_follow_the_names():
    pairs = published(rank=lambda block, target: 8 if target == 'attention/q' else 2 if (block, target) == (1, 'down') else 4)
    settings = {'r': 4, 'lora_alpha': 4, 'rank_pattern': {'attn1.to_q': 8, '^blocks.1.ffn.net.2': 2},
                'alpha_pattern': {'attn1.to_q': 2, r'blocks\.[02]\.attn2\.to_k': 16}}
    lora = read_lora(in_layout('diffusers', pairs), CONFIG, metadata={'lora_adapter_metadata': json.dumps(settings)})
    expected = {(block, target): 2 / 8 if target == 'attention/q' else 4 / 2 if (block, target) == (1, 'down') else
                16 / 4 if target == 'cross/k' and block != 1 else 1.0 for block, target in pairs}
    assert_same(lora, pairs, expected)


HARMLESS = {
    'differences': {'diffusion_model.blocks.0.self_attn.q.diff': ZERO, 'diffusion_model.blocks.0.norm3.diff_b': ZERO[0],
                    'diffusion_model.blocks.0.diff_m': ZERO, 'diffusion_model.head.head.diff_b': ZERO[0]},
    'image parts': {'diffusion_model.blocks.0.cross_attn.k_img.lora_A.weight': ONE,
                    'diffusion_model.blocks.0.cross_attn.k_img.alpha': ONE[0, 0],
                    'diffusion_model.blocks.0.cross_attn.k_img.lora_B.weight': ZERO.T},
    'biases': {'transformer.blocks.0.attn1.to_q.lora_B.bias': ZERO[0]},
}


@pytest.mark.parametrize('extra', HARMLESS)
def test_parts_that_are_zero_are_left_out(extra):
    pairs = published()
    lora = read_lora({**in_layout('comfyui', pairs), **HARMLESS[extra]}, CONFIG)
    assert_same(lora, pairs)
    assert lora.modules == 30


def test_a_lora_acts_where_a_column_of_a_meets_a_row_of_b():
    a, b = np.zeros((2, 24, 3), 'f'), np.zeros((2, 3, 40), 'f')
    acts = lambda: is_effective({'blocks': {'up': {'lora_a': a, 'lora_b': b}}})
    assert not acts()
    a[:] = 1
    assert not acts()  # as training starts
    a[:], a[1, 5, 2], b[0, 1, 7] = 0, 1, 1
    assert not acts()  # of other layers and components
    b[1, 2, 7] = 1
    assert acts()
