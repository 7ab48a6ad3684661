"""A tiny Wan as people download it: transformer, VAE, text encoder and tokenizer of random weights, in a folder of Wan-AI or diffusers."""
import json
import pathlib

import jax
import numpy as np
import safetensors.numpy
import umt5_small

from tqd_jax.config import Config
from tqd_jax.config.wan_defaults import wan_defaults
from tqd_jax.latents.wan_vae.config import VaeConfig
from tqd_jax.latents.wan_vae.params import abstract_params
from tqd_jax.latents.wan_vae.weights import published_arrays
from tqd_jax.models.io.write import save_diffusers, save_original
from tqd_jax.models.wan.model import WanConfig, init_params
from transfer_jax.runtime.config import instance, override

ROOT = pathlib.Path(__file__).parents[3]
VAE = VaeConfig(base_dim=4, decoder_base_dim=4)
MODEL = WanConfig(layers=2, heads=2, head_dim=12, ffn_dim=32, text_dim=umt5_small.CONFIG.width, text_len=512, in_channels=16,
                  out_channels=16)
SMALL = {
    'data.buckets': ((16, 16, 5),), 'data.fps': 8, 'data.scoring_workers': 0, 'model.dtype': 'float32', 'model.remat': 'none',
    'wan.storage': 'float32', 'wan.text_dtype': 'float32', 'train.batch': 2, 'train.steps': 4, 'train.warmup': 0, 'log_every': 1,
    'train.learning_rate': 1e-3, 'eval.every': 4, 'eval.clips_per_quadrant': 1, 'checkpoint.every': 2, 'sample.clips': 2,
    'sample.steps': 2, 'sample.every': None, 'sample.negative': 'bad', 'sample.guidance': 2.0, 'sample.shift': 3.0}


def transformer(seed=0, config=MODEL):
    """Random parameters: none is zero, as a trained model's are not."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda: init_params(config, jax.random.key(0)))
    return jax.tree.map(lambda leaf: rng.normal(0.0, 0.2, leaf.shape).astype(np.float32), shapes)


def write_folder(folder, *, seed=0, experts=('model',), layout='original'):
    """The folder, as Wan-AI or diffusers publish it; experts: ('model',), or ('high', 'low')."""
    folder = pathlib.Path(folder)
    for number, name in enumerate(experts):
        write_transformer(folder / place_of(name, layout), transformer(seed + number), layout)
    write_vae(folder, layout)
    write_text(folder, layout)
    if layout == 'diffusers':
        second = ['diffusers', 'WanTransformer3DModel'] if len(experts) > 1 else [None, None]
        index = {'_class_name': 'WanPipeline', 'transformer_2': second, 'boundary_ratio': 0.875 if len(experts) > 1 else None}
        (folder / 'model_index.json').write_text(json.dumps(index))
    return folder


def place_of(expert, layout):
    """The folder of an expert, within that of the model."""
    return {'original': {'model': '.', 'high': 'high_noise_model', 'low': 'low_noise_model'},
            'diffusers': {'model': 'transformer', 'high': 'transformer', 'low': 'transformer_2'}}[layout][expert]


def write_transformer(folder, params, layout, config=MODEL):
    """Shards and config.json."""
    if layout == 'diffusers':
        save_diffusers(folder, config, params, max_shard_bytes=20_000)
        return
    folder.mkdir(parents=True, exist_ok=True)
    save_original(folder / 'diffusion_pytorch_model.safetensors', config, params)
    described = {'_class_name': 'WanModel', 'model_type': 't2v', 'dim': config.dim, 'ffn_dim': config.ffn_dim, 'num_heads': config.heads,
                 'num_layers': config.layers, 'in_dim': config.in_channels, 'out_dim': config.out_channels, 'text_len': config.text_len}
    (folder / 'config.json').write_text(json.dumps(described))


def autoencoder(seed=0, config=VAE):
    """Random parameters of a VAE, drawn as random_params does, by NumPy: JAX would compile a program for every shape."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[-1].key != 'kernel':
            return np.full(leaf.shape, path[-1].key == 'scale', np.float32)
        return rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(np.float32)
    return jax.tree.map_with_path(draw, abstract_params(config))


def write_vae(folder, layout, config=VAE, seed=0):
    """The VAE's file, with the name that its layout has."""
    arrays = published_arrays(autoencoder(seed, config), config, diffusers=layout == 'diffusers')
    path = folder / {'original': 'Wan2.1_VAE.safetensors', 'diffusers': 'vae/diffusion_pytorch_model.safetensors'}[layout]
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(arrays, path)


def write_text(folder, layout, seed=0):
    """The text encoder and its tokenizer."""
    names = {'original': ('original', 'models_t5_umt5-xxl-enc-bf16.safetensors', 'google/umt5-xxl'),
             'diffusers': ('transformers', 'text_encoder/model.safetensors', 'tokenizer')}
    kind, file, tokenizer = names[layout]
    for path in (folder / file, folder / tokenizer / 'spiece.model'):
        path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(umt5_small.random_arrays(layout=kind, seed=seed), folder / file)
    (folder / tokenizer / 'spiece.model').write_bytes(umt5_small.train_spiece(umt5_small.CAPTIONS))


def command_line(program, *flags, **changes):
    """Module and flags of a small run: {'train.steps': 12, ...} are keys of the config."""
    keys = {**SMALL, **changes}
    values = [f'--config.{key}={value}' for key, value in keys.items()]
    return [f'tqd_jax.{program}', f'--config={ROOT / "configs/wan.py"}', *flags, *values]


def config(**changes):
    """The checked config of a small run."""
    text = lambda value: str(value) if isinstance(value, pathlib.Path) else value
    return override(instance(Config, wan_defaults()), {key: text(value) for key, value in {**SMALL, **changes}.items()})
