"""The folder of a trained autoencoder in diffusers' layout, with the mean and deviation of its latents."""
import dataclasses
import json

import jax
import numpy as np
from safetensors.numpy import save

from tqd_jax.latents.wan_vae.encoder import encode_posterior
from tqd_jax.latents.wan_vae.weights import published_arrays
from tqd_jax.pretrain_vae.settings import Settings
from transfer_jax.runtime.files import write_atomically

METADATA = {'format': 'pt'}  # without it diffusers does not read the file
CLIPS, FRAMES = 128, 17  # whose latents are measured


def publish(folder, params, settings: Settings, clips) -> None:
    """Writes config.json, with latents_mean and latents_std of training clips, settings.json and float16 weights to `folder`.

    clips: uint8 [N, F, H, W, 3], of which the first 128 are measured, 17 frames each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    half = jax.tree.map(lambda leaf: np.asarray(leaf, np.float16), params)
    mean, std = statistics(jax.tree.map(lambda leaf: leaf.astype(np.float32), half), settings, clips)
    arrays = published_arrays(half, settings.vae, diffusers=True)
    write_atomically(folder / 'diffusion_pytorch_model.safetensors', save(arrays, METADATA))
    write_atomically(folder / 'config.json', (json.dumps(diffusers_config(settings.vae, mean, std), indent=1) + '\n').encode())
    write_atomically(folder / 'settings.json', as_json(settings).encode())


def as_json(settings: Settings) -> str:
    """The text of settings.json."""
    return json.dumps(dataclasses.asdict(settings), indent=1) + '\n'


def statistics(params, settings: Settings, clips):
    """(mean, standard deviation) of each channel of the posteriors, as lists: of their means and of the noise around them.

    A channel that carries nothing has a mean of 0 and a variance of 1: by the deviation of its means alone it would be blown up.
    """
    encode = jax.jit(lambda video: encode_posterior(params['encoder'], video, settings.vae, None))
    some = clips[:CLIPS, :FRAMES]
    means, log_variances = (np.concatenate(parts).astype(np.float64) for parts in zip(
        *(encode(some[i:i + 8]) for i in range(0, len(some), 8)), strict=True))
    positions = (0, 1, 2, 3)
    variance = means.var(axis=positions) + np.exp(log_variances).mean(axis=positions)
    return means.mean(axis=positions).tolist(), np.sqrt(variance).tolist()


def diffusers_config(vae, mean, std):
    """config.json of diffusers' AutoencoderKLWan of these sizes."""
    return {
        '_class_name': 'AutoencoderKLWan', 'base_dim': vae.base_dim, 'decoder_base_dim': vae.decoder_base_dim, 'z_dim': vae.z_dim,
        'dim_mult': vae.multipliers, 'num_res_blocks': vae.res_blocks, 'attn_scales': [], 'temperal_downsample': vae.temporal,
        'dropout': 0.0, 'is_residual': vae.residual, 'in_channels': vae.pixel_channels, 'out_channels': vae.pixel_channels,
        'patch_size': vae.patch if vae.patch > 1 else None, 'scale_factor_temporal': vae.frame_stride,
        'scale_factor_spatial': vae.pixel_stride, 'latents_mean': [round(x, 4) for x in mean], 'latents_std': [round(x, 4) for x in std]}
