"""Wan's autoencoders without a reference: chunks, causality, sizes, tiles, files of both layouts."""
import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from tqd_jax.latents.wan_vae.chunks import in_chunks
from tqd_jax.latents.wan_vae.codec import WanCodec, read_codec
from tqd_jax.latents.wan_vae.config import WAN_2_1, WAN_2_2, VaeConfig
from tqd_jax.latents.wan_vae.decoder import decode_pixels
from tqd_jax.latents.wan_vae.encoder import encode_mean
from tqd_jax.latents.wan_vae.names import places
from tqd_jax.latents.wan_vae.params import abstract_params
from tqd_jax.latents.wan_vae.tiling import Axis, Tiles
from tqd_jax.latents.wan_vae.weights import config_from, params_from, published_arrays
from transfer_jax.runtime.errors import UserError

CONSTANTS = {'latents_mean': (0.1, -0.2, 0.3, 0.0), 'latents_std': (1.5, 0.5, 2.0, 1.0)}
SMALL = VaeConfig(base_dim=8, decoder_base_dim=8, z_dim=4, res_blocks=1, mean=CONSTANTS['latents_mean'], std=CONSTANTS['latents_std'])
VERSIONS = {'2.1': SMALL, '2.2': dataclasses.replace(SMALL, decoder_base_dim=16, patch=2, residual=True)}


@functools.cache
def random_tree(version):
    """Every parameter away from where init leaves it."""
    params = WanCodec(VERSIONS[version]).init(jax.random.key(0))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: np.asarray(leaf) + rng.normal(0, 0.1, leaf.shape).astype('f'), params)


def clip(frames=13, height=16, width=32, batch=1):
    return np.random.default_rng(0).integers(0, 256, (batch, frames, height, width, 3), np.uint8)


@functools.cache
def program(version, chunk, dtype='float32', tile=None):
    """(encode, decode) of a codec, jitted."""
    codec = WanCodec(VERSIONS[version], dtype, chunk, tile)
    return jax.jit(codec.encode), jax.jit(codec.decode)


@pytest.mark.parametrize(('version', 'chunk'), [('2.1', 1), ('2.2', 2)])
def test_chunks_change_nothing(version, chunk):
    """In float64 to rounding. 13 frames are 4 latents: chunks of 2 leave a remainder."""
    config, video = VERSIONS[version], clip()
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: leaf.astype(np.float64), random_tree(version))
        encode, decode = jax.jit(encode_mean, static_argnums=(2, 3)), jax.jit(decode_pixels, static_argnums=(2, 3))
        latents = encode(params['encoder'], video, config, None)
        frames = decode(params['decoder'], latents, config, None)
        assert latents.shape == (1, *WanCodec(config).latent_shape(13, 16, 32)) and frames.shape == video.shape
        np.testing.assert_allclose(encode(params['encoder'], video, config, chunk), latents, atol=1e-12 * np.abs(latents).max())
        np.testing.assert_allclose(decode(params['decoder'], latents, config, chunk), frames, atol=1e-12 * np.abs(frames).max())


@pytest.mark.parametrize('chunk', [1, 2, 4])
def test_chunks_in_float32(chunk):
    """Chunks of 4 hold more than there is."""
    params, video = random_tree('2.1'), clip()
    latents = program('2.1', None)[0](params, video)
    assert latents.dtype == jnp.float32 and latents.std() > 0.1
    np.testing.assert_allclose(program('2.1', chunk)[0](params, video), latents, atol=1e-5 * np.abs(latents).max())


def test_chunks_of_any_causal_step():
    """A running sum: the state is what came before, and every chunk size gives the same."""
    step = lambda x, state: (y := jnp.cumsum(x, axis=1) + (0 if state is None else state), y[:, -1:])
    x = jnp.arange(2 * 13 * 3, dtype=jnp.float32).reshape(2, 13, 3)
    for chunk in (None, 1, 2, 3, 4, 9):
        np.testing.assert_array_equal(in_chunks(step, x, 2, chunk), jnp.cumsum(x, axis=1))


@pytest.mark.parametrize('version', VERSIONS)
def test_a_latent_sees_no_later_frame(version):
    """Latent k depends on frames up to 4 k alone, and on frame 4 k; frame 4 k + 1 depends on latents up to k + 1 alone."""
    encode, decode = program(version, None)
    params, video = random_tree(version), clip()
    latents = np.asarray(encode(params, video))
    for frame in (0, 1, 4, 5, 12):
        other = video.copy()
        other[:, frame] = 255 - other[:, frame]
        changed = np.abs(np.asarray(encode(params, other)) - latents).max(axis=(0, 2, 3, 4)) > 0
        first = -(-frame // 4)
        assert not changed[:first].any() and changed[first]
    frames = np.asarray(decode(params, latents))
    for k in range(4):
        other = latents.copy()
        other[:, k] += 1
        changed = (np.asarray(decode(params, other)) != frames).any(axis=(0, 2, 3, 4))
        first = max(0, 4 * k - 3)
        assert not changed[:first].any() and changed[first]


def test_a_clip_begins_as_its_first_frame_alone():
    """The first latent of any clip is the latent of its first frame as a picture."""
    params, video = random_tree('2.1'), clip()
    encode, decode = program('2.1', None)
    latents = encode(params, video)
    np.testing.assert_allclose(encode(params, video[:, :1]), latents[:, :1], atol=1e-5)
    assert difference(decode(params, latents)[:, :1], decode(params, latents[:, :1])) <= 1


def difference(one, other):
    """The largest difference of bytes."""
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max()


def test_bfloat16_is_near():
    """And its parameters are bfloat16; outputs are float32 and bytes as ever."""
    params, video = random_tree('2.1'), clip(5)
    (encode, decode), (encode16, decode16) = program('2.1', 1), program('2.1', 1, 'bfloat16')
    latents, rough = encode(params, video), encode16(params, video)
    assert rough.dtype == jnp.float32 and 0 < np.linalg.norm(rough - latents) < 0.05 * np.linalg.norm(latents)
    frames, rough = decode(params, latents), decode16(params, latents)
    assert rough.dtype == jnp.uint8 and np.abs(np.asarray(frames, int) - np.asarray(rough, int)).mean() < 4
    assert {leaf.dtype for leaf in jax.tree.leaves(WanCodec(SMALL, 'bfloat16').init(jax.random.key(0)))} == {jnp.dtype('bfloat16')}


def test_rows_of_a_batch_do_not_meet():
    encode, decode = program('2.1', 1)
    params, video = random_tree('2.1'), clip(5, batch=2)
    latents = encode(params, video)
    np.testing.assert_allclose(encode(params, video[1:]), latents[1:], atol=1e-5)
    assert difference(decode(params, latents)[1:], decode(params, latents[1:])) <= 1


def test_one_half_needs_no_other():
    encode, decode = program('2.1', 1)
    params, video = random_tree('2.1'), clip(5)
    latents = encode({'encoder': params['encoder']}, video)
    assert decode({'decoder': params['decoder']}, latents).shape == video.shape


def test_a_codec_compiles_once():
    """Codecs that compute the same are equal, so a program of one serves the other."""
    encode = jax.jit(lambda codec, params, video: codec.encode(params, video), static_argnums=0)
    params, video = random_tree('2.1'), clip(1, 16, 16)
    for chunk in (1, 1, 2):
        encode(WanCodec(dataclasses.replace(SMALL), chunk=chunk), params, video)
    assert encode._cache_size() == 2


def test_sizes_that_fit():
    WanCodec(WAN_2_1).check(81, 480, 832, (1, 2, 2))
    WanCodec(WAN_2_2).check(121, 704, 1280, (1, 2, 2))
    assert WanCodec(WAN_2_1).latent_shape(81, 480, 832) == (21, 60, 104, 16)
    assert WanCodec(WAN_2_2).latent_shape(121, 704, 1280) == (31, 44, 80, 48)
    with pytest.raises(ValueError, match=r'frames 80 \(take 77 or 81\), height 488 \(take 480 or 496\)$'):
        WanCodec(WAN_2_1).check(80, 488, 832, (1, 2, 2))
    with pytest.raises(ValueError, match=r'16 x 16 pixels .*: frames 0 \(take 1\), width 16 \(take 32\)$'):
        WanCodec(WAN_2_2).check(0, 32, 16, (1, 2, 2))
    with pytest.raises(ValueError, match=r'frames 5 \(take 9\)'):
        WanCodec(WAN_2_1).check(5, 8, 8, (3, 1, 1))
    with pytest.raises(ValueError, match=r'frames 18 \(take 17 or 21\), height 36'):
        WanCodec(SMALL).encode(random_tree('2.1'), np.zeros((1, 18, 36, 40, 3), np.uint8))


def test_tiles():
    """Exact where one tile covers all; else near, of the same shapes."""
    params, video = random_tree('2.1'), clip(5, 32, 48)
    encode, decode = program('2.1', 1)
    latents = encode(params, video)
    one = WanCodec(SMALL, tile=Tiles(size=48, overlap=16))
    np.testing.assert_allclose(jax.jit(one.encode)(params, video), latents, atol=1e-5)
    assert difference(jax.jit(one.decode)(params, latents), decode(params, latents)) <= 1
    encode, decode = program('2.1', 1, tile=Tiles(size=32, overlap=16))
    rough, frames = encode(params, video), decode(params, latents)
    assert rough.shape == latents.shape and rough.dtype == jnp.float32 and np.isfinite(rough).all()
    assert frames.shape == video.shape and frames.dtype == jnp.uint8
    assert 0 < np.abs(rough - latents).max() < np.abs(latents).max()


def test_tiles_of_an_axis():
    """Ramps of neighbours sum to one where just two overlap, and the last tile ends with the axis."""
    axis = Axis.of(12, 6, 2)
    assert axis.starts == (0, 4, 6) and Axis.of(5, 6, 2) == Axis(5, 5, 2, (0,)) and Axis.of(6, 6, 0).starts == (0,)
    weight = Axis.of(10, 6, 2).weight(4)
    np.testing.assert_allclose(weight[8:-8], 1, atol=1e-6)
    assert (axis.weight(3) > 0).all() and axis.weight(3).shape == (36,)


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(dtype='float16'), "got 'float16'"), (dict(chunk=0), 'chunk must be at least 1'),
    (dict(tile=Tiles(size=60, overlap=8)), 'multiples of 8 pixels')])
def test_wrong_options(keys, message):
    with pytest.raises(ValueError, match=message):
        WanCodec(SMALL, **keys)


def test_wrong_sizes_of_a_config_and_tiles():
    with pytest.raises(ValueError, match='each of 3 resamplers'):
        VaeConfig(temporal=(True,))
    with pytest.raises(ValueError, match='need 8 values, got 16'):
        VaeConfig(z_dim=8)
    with pytest.raises(ValueError, match='cannot share 64'):
        Tiles(size=64, overlap=64)


@pytest.mark.parametrize('prefix', ['', *(pytest.param(prefix, marks=pytest.mark.long) for prefix in ('vae.', 'first_stage_model.'))])
@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('diffusers', [False, True])
def test_files_of_both_layouts(tmp_path, diffusers, version, prefix):
    """Version, sizes and every number come back; from a folder with a config.json too, one half at a time."""
    config, params = VERSIONS[version], random_tree(version)
    arrays = {prefix + name: array for name, array in published_arrays(params, config, diffusers=diffusers).items()}
    if prefix:  # as in a file of the whole model
        arrays['model.diffusion_model.head.modulation'] = np.zeros(3, np.float32)
    save_file(arrays, tmp_path / 'vae.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(CONSTANTS))
    for path in (tmp_path, tmp_path / 'vae.safetensors'):
        codec = read_codec(path, chunk=2)
        assert codec == WanCodec(config, chunk=2)
    jax.tree.map(np.testing.assert_array_equal, codec.load(path), params)
    assert codec.load(path, parts=('encoder',)).keys() == {'encoder'}


@pytest.mark.parametrize('diffusers', [False, True])
@pytest.mark.parametrize('config', [WAN_2_1, WAN_2_2])
def test_published_sizes_are_recognised(config, diffusers):
    """mean and std too, by the number of channels; names and shapes alone are read."""
    shapes = {name: jax.ShapeDtypeStruct(place.published, np.float32) for name, place in places(config, diffusers=diffusers).items()}
    assert len(shapes) == {16: 194, 48: 196}[config.z_dim] and config_from(shapes) == config
    assert sum(leaf.size for leaf in shapes.values()) == {16: 126_892_531, 48: 704_688_668}[config.z_dim]


def broken(name, array):
    """The small autoencoder's arrays with one put in, or taken out where it is None."""
    arrays = published_arrays(random_tree('2.1'), SMALL, diffusers=False) | {name: array}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(('name', 'array', 'message'), [
    ('encoder.head.2.bias', None, 'lacks 1 tensor, such as encoder.head.2.bias'),
    ('decoder.extra', np.zeros(3), 'has, beyond .* such as decoder.extra'),
    ('conv2.bias', np.zeros(5), r'conv2.bias has shape \[5\], its other tensors want \[4\]'),
    ('conv2.bias', np.full(4, np.nan), 'conv2.bias holds NaN'),
    ('encoder.conv1.weight', None, 'no tensor encoder.conv1.weight'),
    ('encoder.conv1.weight', np.zeros((999, 3, 3, 3, 3)), 'narrows from 999 channels'),
])
def test_bad_files_are_named(name, array, message):
    arrays = broken(name, array)
    with pytest.raises(UserError, match=message):
        params_from(arrays, config_from(arrays, CONSTANTS))


def test_files_that_are_no_vae(tmp_path):
    save_file({'blocks.0.ffn.0.weight': np.zeros(3)}, tmp_path / 'wan.safetensors')
    with pytest.raises(UserError, match=r'no Wan VAE: the file has blocks\.0\.ffn'):
        read_codec(tmp_path / 'wan.safetensors')
    save_file(published_arrays(random_tree('2.1'), SMALL, diffusers=True), tmp_path / 'vae.safetensors')
    with pytest.raises(UserError, match='4 channels, for which no latents_mean'):
        read_codec(tmp_path / 'vae.safetensors')
    (tmp_path / 'config.json').write_text(json.dumps(CONSTANTS | {'latents_std': [1.0]}))
    with pytest.raises(UserError, match='4 latents_mean and 1 latents_std'):
        read_codec(tmp_path / 'vae.safetensors')
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(UserError, match='no JSON'):
        read_codec(tmp_path / 'vae.safetensors')


def test_a_tpu_gets_plain_convolutions():
    """What the CPU likes, frame by frame, is lowered for the CPU alone: a one-shot program for a TPU has no loop."""
    wide = dataclasses.replace(SMALL, base_dim=96, decoder_base_dim=96)
    params = abstract_params(wide)
    video = jax.ShapeDtypeStruct((1, 5, 16, 16, 3), jnp.uint8)
    traced = jax.jit(WanCodec(wide, chunk=None).encode).trace(params, video)
    text = {platform: traced.lower(lowering_platforms=(platform,)).as_text() for platform in ('cpu', 'tpu')}
    assert 'stablehlo.while' not in text['tpu'] and 'stablehlo.while' in text['cpu']
    assert 'custom_call' not in text['tpu'] or 'callback' not in text['tpu']
