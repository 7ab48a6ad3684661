"""Scales of float8 weights: every published variant is the product that it stands for; unsupported ones are refused by key."""
import json

import ml_dtypes
import numpy as np
import pytest
from tensor_files import write_safetensors

from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.scales import apply_scales
from transfer_jax.runtime.errors import UserError

F8 = ml_dtypes.float8_e4m3fn
RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(6, 128)).astype(F8)
BIAS = RNG.normal(size=6).astype('f')
SCALES = {shape: RNG.uniform(0.5, 2, shape).astype('f') for shape in [(), (1,), (6,), (6, 1), (6, 2, 1), (6, 1, 1)]}
INDICES = [..., (slice(None), slice(None)), (slice(1, 4), slice(60, 70)), ([5, 0, 3], slice(64, None)), slice(2, 3), (1, slice(0, 5)),
           (slice(2, 3), slice(None, None, 2))]


def product(scale):
    """The weight by the formula, with a scale for every element."""
    scale = np.asarray(scale)
    full = np.repeat(scale[..., 0], 128 // scale.shape[1], 1) if scale.ndim == 3 else scale.reshape(-1, 1)
    return WEIGHT.astype('f') * full


def comfy(about):
    return np.frombuffer(json.dumps(about).encode(), np.uint8)


VARIANTS = {
    'Comfy, old': {'scaled_fp8': np.zeros(0, F8), 'b.l.scale_weight': SCALES[()], 'b.l.scale_input': np.float32(1)},
    'Comfy, old, two elements': {'m.scaled_fp8': np.zeros(2, F8), 'b.l.scale_weight': SCALES[()]},
    'Comfy, new': {'b.l.weight_scale': SCALES[()], 'b.l.input_scale': np.float32(3),
                   'b.l.comfy_quant': comfy({'format': 'float8_e4m3fn', 'full_precision_matrix_mult': True})},
    'Kijai': {'scaled_fp8': np.zeros(0, F8), 'b.l.weight_scale': SCALES[()]},
    **{f'musubi {shape}': {'b.l.scale_weight': scale} for shape, scale in SCALES.items()},
}


@pytest.mark.parametrize('variant', VARIANTS)
def test_every_variant_is_the_product_by_the_formula(variant):
    beside = VARIANTS[variant]
    scale = next(array for name, array in beside.items() if name.endswith(('scale_weight', 'weight_scale')))
    arrays = apply_scales({'b.l.weight': WEIGHT, 'b.l.bias': BIAS, 'b.scale_shift_table': BIAS, **beside})
    assert set(arrays) == {'b.l.weight', 'b.l.bias', 'b.scale_shift_table'} and arrays['b.l.bias'] is BIAS
    weight, expected = arrays['b.l.weight'], product(scale)
    assert weight.shape == WEIGHT.shape and weight.dtype == np.float32
    np.testing.assert_array_equal(np.asarray(weight), expected)
    for index in INDICES:
        np.testing.assert_array_equal(weight[index], expected[index])


def test_a_kernel_of_five_axes_has_a_scale_for_each_output():
    kernel = RNG.normal(size=(6, 2, 1, 2, 2)).astype(F8)
    arrays = apply_scales({'p.weight': kernel, 'p.scale_weight': SCALES[6,]})
    np.testing.assert_array_equal(arrays['p.weight'][2:4], kernel[2:4].astype('f') * SCALES[6,][2:4, None, None, None, None])


def test_a_plain_cast_is_left_alone():
    arrays = {'b.l.weight': WEIGHT, 'b.l.bias': BIAS}
    assert apply_scales(arrays) == arrays


def test_the_metadata_of_a_file_say_what_is_scaled(tmp_path):
    metadata = {'_quantization_metadata': json.dumps({'format_version': '1.0', 'layers': {'b.l': {'format': 'float8_e4m3fn'}}})}
    arrays = {'b.l.weight': WEIGHT, 'b.l.weight_scale': SCALES[()]}
    path = write_safetensors(tmp_path / 'w.safetensors', arrays, metadata)
    np.testing.assert_array_equal(apply_scales(open_tensors(path))['b.l.weight'][1:3, 5:], product(SCALES[()])[1:3, 5:])
    write_safetensors(path, {'b.l.weight': WEIGHT}, metadata)
    with pytest.raises(UserError, match=r'w\.safetensors: b\.l\.weight is said to be scaled'):
        apply_scales(open_tensors(path))
    write_safetensors(path, arrays, {'_quantization_metadata': metadata['_quantization_metadata'].replace('float8_e4m3fn', 'nvfp4')})
    with pytest.raises(UserError, match=r"b\.l: weights quantised as .*nvfp4"):
        apply_scales(open_tensors(path))
    write_safetensors(path, arrays, {'_quantization_metadata': '{'})
    with pytest.raises(UserError, match='_quantization_metadata does not say'):
        apply_scales(open_tensors(path))


@pytest.mark.parametrize(('beside', 'message'), [
    ({'b.l.weight_scale_2': np.ones(1)}, r'b\.l\.weight_scale_2 belongs to a quantisation that is not supported'),
    ({'b.l.weight_scale_inv': np.ones(1)}, r'b\.l\.weight_scale_inv belongs'),
    ({'b.l.scale': np.ones(1)}, r'b\.l\.scale belongs'),
    ({'b.l.weight_zero_point': np.ones(1)}, r'b\.l\.weight_zero_point belongs'),
    ({'b.l.comfy_quant': comfy({'format': 'mxfp8'}), 'b.l.weight_scale': np.ones(1)}, r'b\.l\.comfy_quant: weights .*mxfp8'),
    ({'b.l.comfy_quant': comfy({'format': 'float8_e4m3fn', 'convrot': True}), 'b.l.weight_scale': np.ones(1)}, r'comfy_quant: .*convrot'),
    ({'b.l.comfy_quant': np.zeros(3, np.uint8)}, r'b\.l\.comfy_quant does not say'),
    ({'b.l.comfy_quant': comfy({'format': 'float8_e5m2'})}, r'b\.l\.weight is said to be scaled'),
    ({'scaled_fp8': np.zeros(0, F8)}, r'b\.l\.weight is said to be scaled'),
    ({'b.k.scale_weight': np.ones(1)}, r'b\.k\.scale_weight is the scale of b\.k\.weight, which the file lacks'),
    ({'b.l.scale_weight': np.ones((6, 3, 1))}, r'b\.l\.scale_weight of shape \[6, 3, 1\] does not fit b\.l\.weight of shape \[6, 128\]'),
    ({'b.l.scale_weight': np.ones((1, 128))}, r'scale_weight of shape \[1, 128\] does not fit'),
    ({'b.l.weight': np.ones((6, 128), np.int8), 'b.l.weight_scale': np.ones(1)}, r'b\.l\.weight is of dtype int8'),
])
def test_what_is_not_applied_is_refused_by_key(beside, message):
    with pytest.raises(UserError, match=message) as caught:
        apply_scales({'b.l.weight': WEIGHT, 'b.l.bias': BIAS, **beside})
    assert '\n' not in str(caught.value)
