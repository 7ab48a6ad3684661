"""Wan's autoencoders against diffusers' AutoencoderKLWan: same weights, same posterior mean, same frames."""
import functools

import jax
import numpy as np
import pytest
from quick import quick_to_compile

from tqd_jax.latents.wan_vae.codec import WanCodec, read_codec
from tqd_jax.latents.wan_vae.decoder import decode_pixels
from tqd_jax.latents.wan_vae.encoder import encode_mean
from tqd_jax.latents.wan_vae.weights import config_from, params_from

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]

CONSTANTS = {'latents_mean': [0.1, -0.2, 0.3, 0.0], 'latents_std': [1.5, 0.5, 2.0, 1.0]}
VERSIONS = {
    '2.1': {},
    '2.2': dict(decoder_base_dim=16, is_residual=True, in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16),
}
CASES = [  # version, frames, height, width, chunk
    ('2.1', 1, 36, 40, None), ('2.1', 5, 32, 24, None), ('2.1', 9, 20, 36, None), ('2.1', 17, 36, 40, 1),
    ('2.2', 1, 32, 48, None), ('2.2', 5, 48, 32, None), ('2.2', 9, 32, 80, None), ('2.2', 17, 32, 48, 2)]


@functools.cache
def reference(version):
    """diffusers' module with every parameter moved away from where it starts, in float64 throughout: its own upsampling is not."""
    import torch
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    module = AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=1, **CONSTANTS, **VERSIONS[version]).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn_like(weight) / max(1, weight[0].numel()) ** 0.5 + (weight.ndim > 1 and weight[0].numel() == 1))
    for block in module.decoder.modules():
        if hasattr(block, 'resample'):
            block.resample[0] = torch.nn.Upsample(scale_factor=2.0, mode='nearest-exact')
    return module


def arrays(version):
    return {name: weight.detach().numpy() for name, weight in reference(version).named_parameters()}


def clip(frames, height, width):
    return np.random.default_rng(0).integers(0, 256, (2, frames, height, width, 3), np.uint8)


def run_encoder(module, video):
    """The posterior's mean, channels last."""
    import torch

    pixels = torch.from_numpy(video / 127.5 - 1)
    with torch.no_grad():
        return module.encode(pixels.permute(0, 4, 1, 2, 3)).latent_dist.mode().permute(0, 2, 3, 4, 1).numpy()


def run_decoder(module, latents):
    """Pixels, channels last, clipped to [-1, 1]."""
    import torch

    with torch.no_grad():
        return module.decode(torch.from_numpy(latents).permute(0, 4, 1, 2, 3)).sample.permute(0, 2, 3, 4, 1).numpy()


def relative(ours, theirs):
    return np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize(('version', 'frames', 'height', 'width', 'chunk'), CASES)
def test_means_and_frames_agree_in_float64(version, frames, height, width, chunk):
    module, video = reference(version), clip(frames, height, width)
    theirs = run_encoder(module, video)
    config = config_from(arrays(version), CONSTANTS)
    with jax.enable_x64(True), quick_to_compile():
        params = params_from(arrays(version), config, dtype='float64')
        ours = jax.jit(encode_mean, static_argnums=(2, 3))(params['encoder'], video, config, chunk)
        assert relative(ours, theirs) < 1e-10 and theirs.std() > 0.1
        latents = theirs / np.abs(theirs).max()
        pixels = jax.jit(decode_pixels, static_argnums=(2, 3))(params['decoder'], latents, config, chunk)
        theirs = run_decoder(module, latents)
        assert theirs.std() > 0.1 and relative(np.clip(pixels, -1, 1), theirs) < 1e-10


@pytest.mark.parametrize('version', VERSIONS)
def test_a_codec_from_a_folder_of_diffusers_agrees_in_float32(tmp_path, version):
    """mean and std of its config.json lead to the space of the transformer and back."""
    module, video = reference(version), clip(5, 32, 48)
    module.save_pretrained(tmp_path)
    codec = read_codec(tmp_path)
    params = codec.load(tmp_path)
    theirs = run_encoder(module, video)
    ours = np.asarray(jax.jit(codec.encode)(params, video))
    mean, std = (np.array(CONSTANTS[name]) for name in ('latents_mean', 'latents_std'))
    assert relative(ours, (theirs - mean) / std) < 1e-4
    frames = np.asarray(jax.jit(codec.decode)(params, ours)).astype(int)
    theirs = np.round((run_decoder(module, theirs) + 1) * 127.5)
    assert np.abs(frames - theirs).max() <= 1 and np.mean(frames != theirs) < 1e-3


@pytest.mark.parametrize('version', VERSIONS)
def test_presets_have_the_reference_s_names_and_shapes(version):
    """At the published sizes, on no device."""
    import torch
    from diffusers import AutoencoderKLWan

    from tqd_jax.latents.wan_vae.config import WAN_2_1, WAN_2_2
    from tqd_jax.latents.wan_vae.names import places

    config = {'2.1': WAN_2_1, '2.2': WAN_2_2}[version]
    sizes = {'2.1': {}, '2.2': VERSIONS['2.2'] | dict(base_dim=160, decoder_base_dim=256, z_dim=48)}[version]
    with torch.device('meta'):
        module = AutoencoderKLWan(**sizes)
    theirs = {name: tuple(weight.shape) for name, weight in module.named_parameters()}
    assert {name: place.published for name, place in places(config, diffusers=True).items()} == theirs
    assert config_from(dict(module.named_parameters())) == config and WanCodec(config).latent_shape(81, 480, 832)[0] == 21
    if version == '2.1':
        assert config.mean == tuple(module.config.latents_mean) and config.std == tuple(module.config.latents_std)
