"""Our LoRA as a file that ComfyUI, diffusers or kohya's programs load."""
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from tqd_jax.models.io.lora import lora_modules, module_sizes, output_order
from tqd_jax.models.io.lora_alpha import METADATA_KEY
from tqd_jax.models.io.lora_names import TARGETS, name_stem
from tqd_jax.models.wan.config import WanConfig
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.paths import make_folder, path_of

KINDS = {'comfyui': ('B', 'lora_A', 'lora_B'), 'diffusers': ('A', 'lora_A', 'lora_B'), 'kohya': ('C', 'lora_down', 'lora_up')}
DIFFUSERS_FILE = 'pytorch_lora_weights.safetensors'


def write_lora(path: str | pathlib.Path, tree: Mapping[str, Any], *, rank: int, alpha: float, config: WanConfig, kind: str,
               dtype: Any = np.float32) -> pathlib.Path:
    """Writes a tree of LoraFile's layout to one .safetensors file, whole or not at all, and returns the file's path.

    kind: 'comfyui', diffusion_model.blocks.N.self_attn.q.lora_A.weight and lora_B.weight with a scalar `.alpha` each, the most widely
      read; 'diffusers', transformer.blocks.N.attn1.to_q.lora_A.weight, alpha in the metadata `lora_adapter_metadata`, since diffusers
      refuses `.alpha` here; 'kohya', lora_unet_blocks_N_self_attn_q.lora_down.weight, lora_up.weight and `.alpha`.
    path: a .safetensors file, or for 'diffusers' also a folder, in which the file is pytorch_lora_weights.safetensors.
    dtype: of A and B, float32 or bfloat16; `.alpha` is always float32.

    Raises UserError where the path is no .safetensors file, or kohya's layout lacks one of its ten modules a block, without which diffusers
    does not load it; ValueError for an unknown kind or dtype, or a tree that is not of rank and config; OSError with the path.
    """
    if kind not in KINDS:
        raise ValueError(f'kind must be one of {tuple(KINDS)}, got {kind!r}')
    if (dtype := jnp.dtype(dtype)) not in (jnp.dtype('float32'), jnp.dtype('bfloat16')):
        raise ValueError(f'dtype must be float32 or bfloat16, got {dtype}')
    modules = lora_modules(tree)
    _check(modules, rank, alpha, config, kind)
    path = _file(path_of(path), kind)
    tensors, metadata = _tensors(modules, alpha, config, kind, dtype), _metadata(modules, rank, alpha, kind)
    make_folder(path.parent)
    write_atomically(path, safetensors.numpy.save(tensors, metadata))
    return path


def _check(modules, rank, alpha, config, kind):
    for target, (a, b) in modules.items():
        inputs, outputs = module_sizes(target, config)
        expected = (config.layers, inputs, rank), (config.layers, rank, outputs)
        if (a.shape, b.shape) != expected:
            raise ValueError(f'lora_a and lora_b of {target} must be {expected}, got {a.shape} and {b.shape}')
    if not alpha > 0:
        raise ValueError(f'alpha must be positive, got {alpha}')
    if kind == 'kohya' and (missing := [target for target in TARGETS if target not in modules]):
        raise UserError(f"kohya's layout needs all ten modules of a block, and this LoRA has no {', '.join(missing)}; "
                        "write it as 'comfyui' or 'diffusers'")


def _file(path, kind):
    if path.suffix == '.safetensors' and not path.is_dir():
        return path
    if kind == 'diffusers':
        return path / DIFFUSERS_FILE
    raise UserError(f'a LoRA for {kind} is one file, got {str(path)!r}; give a path that ends in .safetensors')


def _tensors(modules, alpha, config, kind, dtype):
    """Arrays by published name. Contiguous, since safetensors writes the memory of an array whatever its strides."""
    letter, down, up = KINDS[kind]
    tensors = {}
    for target, (a, b) in modules.items():
        back = np.argsort(output_order(target, config))
        for block, (own_a, own_b) in enumerate(zip(np.asarray(a), np.asarray(b), strict=True)):
            stem = name_stem(letter, block, target)
            tensors[f'{stem}.{down}.weight'] = np.ascontiguousarray(own_a.T.astype(dtype))
            tensors[f'{stem}.{up}.weight'] = np.ascontiguousarray(own_b[:, back].T.astype(dtype))
            if kind != 'diffusers':
                tensors[f'{stem}.alpha'] = np.array(alpha, np.float32)
    return tensors


def _metadata(modules, rank, alpha, kind):
    """The safetensors metadata; diffusers needs all three of its settings."""
    settings = {'transformer.r': rank, 'transformer.lora_alpha': int(alpha) if alpha == int(alpha) else alpha,
                'transformer.target_modules': [TARGETS[target][1] for target in modules]}
    adapter = {METADATA_KEY: json.dumps(settings)} if kind == 'diffusers' else {}
    return {'format': 'pt', **adapter}
