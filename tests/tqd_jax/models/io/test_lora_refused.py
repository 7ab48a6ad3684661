"""LoRA files that are of another model, hold more than a LoRA or less, or are damaged: one line for the user."""
import numpy as np
import pytest
from loras import CONFIG, ONE, ZERO, in_layout, published

from tqd_jax.models.io.lora import read_lora
from tqd_jax.models.wan.config import WanConfig
from transfer_jax.runtime.errors import UserError

EXTRA = {  # keys added to a good file: what is refused, and in which words
    'weight differences': ({'diffusion_model.blocks.0.self_attn.q.diff': ONE}, r'full differences .*1 key: .*self_attn\.q\.diff'),
    'bias differences': ({'diffusion_model.blocks.0.ffn.0.diff_b': ONE[0], 'diffusion_model.blocks.1.ffn.0.diff_b': ZERO[0]},
                         r'full differences .*1 key: .*blocks\.0\.ffn\.0\.diff_b'),
    'modulation differences': ({'diffusion_model.blocks.0.diff_m': ONE}, r'full differences .*blocks\.0\.diff_m'),
    'bias of B': ({'transformer.blocks.0.attn1.to_q.lora_B.bias': ONE[0]}, r'full differences .*lora_B\.bias'),
    'image parts': ({f'diffusion_model.blocks.0.cross_attn.k_img.lora_{part}.weight': ONE for part in 'AB'}, r'image attention .*k_img'),
    'image parts of diffusers': ({f'transformer.blocks.0.attn2.add_v_proj.lora_{part}.weight': ONE for part in 'AB'},
                                 r'image attention .*2 keys: .*add_v_proj'),
    'DoRA': ({'diffusion_model.blocks.0.self_attn.q.dora_scale': ONE}, r'variant of LoRA .*dora_scale'),
    'LoKr': ({'lora_unet_blocks_0_self_attn_q.lokr_w1': ONE}, r'variant of LoRA .*lokr_w1'),
    'LoHa': ({'lora_unet_blocks_0_self_attn_q.hada_w1_a': ONE}, r'variant of LoRA .*hada_w1_a'),
    'modules outside the blocks': ({f'diffusion_model.text_embedding.0.lora_{part}.weight': ONE for part in 'AB'},
                                   r'2 keys: .*text_embedding\.0\.lora_A\.weight'),
    'many keys': ({f'text_encoder.layers.{i}.lora_A.weight': ONE for i in range(5)},
                  r'\(5 keys, such as text_encoder\.layers\.0\.\S+, text_encoder\.layers\.1\.\S+, text_encoder\.layers\.2\.[^,]+\)'),
    'keys of the base model': ({'diffusion_model.blocks.0.self_attn.q.weight': ONE}, r'1 key: \S+\.blocks\.0\.self_attn\.q\.weight'),
    'a weight of the image parts': ({'diffusion_model.blocks.0.cross_attn.k_img.weight': ZERO}, r'1 key: .*k_img\.weight'),
    'a block too many': ({f'diffusion_model.blocks.3.self_attn.q.lora_{part}.weight': ONE for part in 'AB'},
                         r'has block 3 \(diffusion_model\.blocks\.3\.self_attn\.q\.lora_A\.weight\), but the model has 3'),
    'a module twice': ({'blocks.0.attn1.to_q.lora_A.weight': ONE}, r'a of block 0, attention/q more than once'),
}


@pytest.mark.parametrize('extra', EXTRA)
def test_files_that_hold_more_than_a_lora_are_refused(extra):
    keys, words = EXTRA[extra]
    with pytest.raises(UserError, match=words):
        read_lora({**in_layout('comfyui', published()), **keys}, CONFIG)


OTHERS = {
    'another width': (dict(heads=3), r"blocks\.0\.self_attn\.q\.lora_A\.weight is \[4, 24\] and .*\[24, 4\]; this model has \[rank, 36\]"),
    'another hidden width': (dict(ffn_dim=48), r'blocks\.0\.ffn\.0\.lora_A\.weight is .* \[48, rank\]'),
    'fewer layers': (dict(layers=2), r'has block 2 .* but the model has 2 from 0'),
}


@pytest.mark.parametrize('other', OTHERS)
def test_a_lora_of_another_size_is_refused(other):
    changes, words = OTHERS[other]
    sizes = {**dict(layers=3, heads=2, head_dim=12, ffn_dim=40), **changes}
    with pytest.raises(UserError, match=words):
        read_lora(in_layout('comfyui', published()), WanConfig(text_dim=8, text_len=4, in_channels=4, out_channels=4, **sizes))


@pytest.mark.parametrize('module', ['double_blocks.0.img_attn.qkv', 'blocks.0.attn.to_qkv', 'transformer_blocks.0.attn1.to_q'])
def test_a_lora_of_another_model_is_refused(module):
    tensors = {f'diffusion_model.{module}.lora_{part}.weight': ONE for part in 'AB'}
    with pytest.raises(UserError, match=rf'the LoRA is of another model: .*{module}\.lora_A\.weight'):
        read_lora(tensors, CONFIG)


def test_ranks_of_a_pair_must_agree():
    tensors = in_layout('comfyui', published())
    tensors['diffusion_model.blocks.1.ffn.2.lora_B.weight'] = np.ones((24, 3), 'f')
    with pytest.raises(UserError, match=r'blocks\.1\.ffn\.2\.lora_B\.weight \[24, 3\]'):
        read_lora(tensors, CONFIG)


def test_half_a_pair_is_refused():
    tensors = in_layout('comfyui', published())
    del tensors['diffusion_model.blocks.1.ffn.2.lora_A.weight']
    with pytest.raises(UserError, match=r'no lora_A for block 1, down \(1 key: diffusion_model\.blocks\.1\.ffn\.2\.lora_B\.weight\)'):
        read_lora(tensors, CONFIG)


@pytest.mark.parametrize('keys', [(), ('blocks.0.self_attn.q.weight', 'head.modulation'), ('blocks.0.self_attn.q.diff',)])
def test_a_file_without_lora_is_refused(keys):
    with pytest.raises(UserError, match=rf'no keys of a LoRA \({len(keys)} key'):
        read_lora(dict.fromkeys(keys, ONE), CONFIG)


@pytest.mark.parametrize('alpha', [0.0, -1.0, np.nan, np.inf, [1.0, 2.0]])
def test_an_unusable_alpha_is_refused(alpha):
    tensors = in_layout('kohya', published())
    with pytest.raises(UserError, match=r'alpha of blocks_1_ffn_0 is .* positive'):
        read_lora({**tensors, 'lora_unet_blocks_1_ffn_0.alpha': np.array(alpha, 'f')}, CONFIG)


SETTINGS = {
    'no alpha': ({'r': 4}, 'no lora_alpha'),
    'another rank': ({'r': 8, 'lora_alpha': 8}, r'blocks\.0\.attn1\.to_q has rank 4, but the settings of its adapter say 8'),
    'a text as alpha': ({'r': 4, 'lora_alpha': 'x'}, 'alpha of .* is x'),
    'DoRA': ({'r': 4, 'lora_alpha': 8, 'use_dora': True}, 'is a DoRA'),
}


@pytest.mark.parametrize('case', SETTINGS)
def test_unusable_settings_are_refused(case):
    settings, words = SETTINGS[case]
    with pytest.raises(UserError, match=words):
        read_lora(in_layout('diffusers', published()), CONFIG, adapter_config=settings)


@pytest.mark.parametrize('text', ['{', '3'])
def test_damaged_metadata_is_refused(text):
    with pytest.raises(UserError, match='lora_adapter_metadata is no JSON'):
        read_lora(in_layout('diffusers', published()), CONFIG, metadata={'lora_adapter_metadata': text})


def test_messages_are_one_line_and_name_the_file():
    tensors = type('Tensors', (dict,), {'path': 'style.safetensors', 'metadata': {}})({'head.modulation': ONE})
    with pytest.raises(UserError, match=r'^the LoRA style\.safetensors has no keys[^\n]*$'):
        read_lora(tensors, CONFIG)
