"""A tiny Wan made by diffusers itself: a WanPipeline of random weights, saved as published ones are, and what it computes."""
import copy

import numpy as np
import safetensors
import torch
import transformers
import umt5_small
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

SHIFT = 3.0
SCHEDULER = dict(prediction_type='flow_prediction', use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=SHIFT)
TRANSFORMER = dict(num_attention_heads=2, attention_head_dim=12, text_dim=16, freq_dim=256, ffn_dim=32, num_layers=2, cross_attn_norm=True,
                   qk_norm='rms_norm_across_heads')
TEXT = dict(d_model=16, d_kv=4, d_ff=20, num_layers=2, num_heads=2, feed_forward_proj='gated-gelu')
SIZES = dict(base_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=1, temperal_downsample=[False, True, True])
VAE = {16: dict(z_dim=16, **SIZES),
       48: dict(z_dim=48, decoder_base_dim=8, is_residual=True, in_channels=12, out_channels=12, patch_size=2, scale_factor_spatial=16,
                latents_mean=[i / 100 - 0.2 for i in range(48)], latents_std=[i / 100 + 0.5 for i in range(48)], **SIZES)}


def scattered(module, size, seed):
    """The module in evaluation, every parameter drawn anew: norms around 1, all else around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            centre = 1.0 if 'norm' in name and not name.endswith('bias') else 0.0
            weight.copy_(centre + size * torch.randn(weight.shape, generator=generator))
    return module.eval()


def pipeline(folder, *, channels=16, experts=1, **settings):
    """A WanPipeline, saved in a folder in many shards. settings: boundary_ratio and expand_timesteps, as its own."""
    (folder / 'spiece').mkdir(parents=True)
    (folder / 'spiece/spiece.model').write_bytes(umt5_small.train_spiece(umt5_small.CAPTIONS))
    tokenizer = transformers.T5Tokenizer.from_pretrained(folder / 'spiece', extra_ids=0)
    text_encoder = transformers.UMT5EncoderModel(transformers.UMT5Config(vocab_size=len(tokenizer) + 5, **TEXT))
    models = [scattered(WanTransformer3DModel(in_channels=channels, out_channels=channels, **TRANSFORMER), 0.2, seed)
              for seed in range(experts)]
    pipe = WanPipeline(
        tokenizer=tokenizer, text_encoder=scattered(text_encoder, 0.4, 10), vae=scattered(AutoencoderKLWan(**VAE[channels]), 0.1, 11),
        transformer=models[0], transformer_2=(models + [None])[1], scheduler=UniPCMultistepScheduler(**SCHEDULER), **settings)
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(folder / 'wan', max_shard_size='20KB')
    return pipe


def replaced(pipe, **components):
    """The pipeline with copies of its transformers, or with others."""
    own = {name: copy.deepcopy(pipe.components[name]) for name in ('transformer', 'transformer_2')}
    settings = {name: pipe.config[name] for name in ('boundary_ratio', 'expand_timesteps')}
    new = WanPipeline(**{**pipe.components, **own, **components}, **settings)
    new.set_progress_bar_config(disable=True)
    return new


def draw(pipe, noise, shape, **call):
    """Latents [N, f, h, w, C] from noise [N, f, h, w, C] for videos of shape (width, height, frames)."""
    size = dict(zip(('width', 'height', 'num_frames'), shape, strict=True))
    return last(pipe(latents=first(noise), output_type='latent', max_sequence_length=512, **size, **call).frames)


def decode(pipe, latents):
    """Frames [N, F, H, W, 3] in [0, 255], of latents [N, f, h, w, C]."""
    mean, std = constants(pipe)
    with torch.no_grad():
        video = pipe.vae.decode(first(np.asarray(latents) * std + mean), return_dict=False)[0]
    return 255 * pipe.video_processor.postprocess_video(video, output_type='np')


def encode(pipe, frames):
    """Latents [N, f, h, w, C] of uint8 frames [N, F, H, W, 3]: the posterior's mode, normalised."""
    mean, std = constants(pipe)
    with torch.no_grad():
        mode = pipe.vae.encode(first(frames.astype(np.float32) / 127.5 - 1)).latent_dist.mode()
    return (last(mode) - mean) / std


def predict(module, x, t, text):
    """A transformer's output [N, f, h, w, C] of x [N, f, h, w, C], t in [0, 1] [N] and features [N, 512, width]."""
    with torch.no_grad():
        return last(module(first(x), torch.from_numpy(1000 * t), torch.from_numpy(text), return_dict=False)[0])


def constants(pipe):
    """(mean, std) [C] of the VAE's latents."""
    return [np.array(pipe.vae.config[f'latents_{name}'], np.float32) for name in ('mean', 'std')]


def first(array):
    """Channels first, a tensor."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(array, np.float32), -1, 1)))


def last(tensor):
    """Channels last, an array."""
    return np.moveaxis(tensor.numpy(), 1, -1)


def exported(pipe, name, path, config):
    """The pipeline with what a file or folder holds as its component `name`: a LoRA for it, or the whole transformer.

    config: the folder of a transformer of the same sizes, since diffusers would fetch that of a single file.
    """
    if path.is_dir():
        return replaced(pipe, **{name: WanTransformer3DModel.from_pretrained(path)})
    with safetensors.safe_open(path, 'numpy') as file:
        is_lora = any('lora' in key for key in file.keys())
    if not is_lora:
        module = WanTransformer3DModel.from_single_file(str(path), config=str(config), local_files_only=True)
        return replaced(pipe, **{name: module})
    new = replaced(pipe)
    new.load_lora_weights(path.parent, weight_name=path.name, load_into_transformer_2=name == 'transformer_2')
    return new
