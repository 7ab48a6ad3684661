"""Our parameters as published weights, tensor by tensor: diffusers' folder of shards, or one file of original names."""
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tqd_jax.models.io.containers.write_file import Output, write_tensors
from tqd_jax.models.io.layout import entries, to_file
from tqd_jax.models.io.names import to_diffusers
from tqd_jax.models.io.wan_config import TEXT_LEN
from tqd_jax.models.wan.storage import dequantise
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import replace_atomically, upload_folder
from transfer_jax.runtime.paths import is_remote, make_folder, path_of

STEM = 'diffusion_pytorch_model'


def save_diffusers(folder: str | pathlib.Path, config: Any, params: Any, *, max_shard_bytes: int = 5_000_000_000,
                   dtype: Any = None) -> None:
    """Writes a new folder that diffusers' WanTransformer3DModel.from_pretrained reads: config.json, shards and their index.

    params: the whole tree, NumPy or JAX arrays that this process can address; kernels stored in 8 bits are written as W = values * scale.
    dtype: of all tensors; None: each leaf's own, and float32 for kernels in 8 bits. max_shard_bytes: a shard has no more bytes, unless it
    is one tensor. One tensor at a time is in host memory.

    Raises UserError where the folder has files or cannot be written, also for a full disk; then nothing is left behind. ValueError where
    params are not the published parameters of config (LoRA has to be merged first).
    """
    folder = path_of(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f'{folder} has files already; give another folder, or empty it')
    if is_remote(folder):
        with tempfile.TemporaryDirectory(prefix='tqd-') as local:
            save_diffusers(pathlib.Path(local, folder.name), config, params, max_shard_bytes=max_shard_bytes, dtype=dtype)
            upload_folder(pathlib.Path(local, folder.name), folder)
        return
    shards = pack(list(outputs(config, params, dtype, to_diffusers)), max_shard_bytes)
    part = folder.with_name(f'.{folder.name}.part')
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
        part.mkdir(parents=True)
        write_shards(part, shards)
        (part / 'config.json').write_text(json.dumps(_described(config), indent=2) + '\n')
        os.replace(part, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def save_original(path: str | pathlib.Path, config: Any, params: Any, *, dtype: Any = None, prefix: str = '') -> None:
    """Writes one .safetensors file of original names, each after `prefix`, as ComfyUI, Kijai and musubi-tuner read them.

    params, dtype and errors are as save_diffusers has them; a file at the path is replaced.
    """
    path = path_of(path)
    tensors = list(outputs(config, params, dtype, lambda name: prefix + name))
    try:
        make_folder(path.parent)
        replace_atomically(path, lambda part: write_tensors(part, tensors))
    except OSError as error:
        raise _unwritable(path, error) from error


def outputs(config: Any, params: Any, dtype: Any, rename: Callable[[str], str]) -> Iterator[Output]:
    """The tensors of a model's file, blocks in their order; rename: from the original name."""
    table, leaves = entries(config), dict(_leaves(params))
    if table.keys() != leaves.keys():
        wrong = min(table.keys() ^ leaves.keys())
        raise ValueError(f'{".".join(wrong)} is {"missing" if wrong in table else "none of the published parameters; merge LoRA first"}')
    for path, entry in table.items():
        if not entry.stacked:
            yield _output(entry, config, leaves[path], rename(entry.name), dtype, ...)
    for number in range(config.layers):
        for path, entry in table.items():
            if entry.stacked:
                yield _output(entry, config, leaves[path], rename(entry.name.format(number)), dtype, number)


def _output(entry, config, leaf, name, dtype, index):
    """leaf: (kernel, scale), scale None where there is none."""
    values, scale = leaf
    dtype = np.dtype(dtype or (values.dtype if scale is None else np.float32))

    def read():
        array = np.asarray(values[index])
        array = array if scale is None else dequantise(array, scale[index])
        return to_file(entry, config, array).astype(dtype, copy=False)

    return Output(name=name, shape=entry.shape, dtype=dtype, read=read)


def _leaves(tree, path=()):
    """((path, (leaf, scale)), ...) of a nested dict; scale: of a kernel in 8 bits, else None."""
    for key, leaf in tree.items():
        if isinstance(leaf, dict):
            yield from _leaves(leaf, (*path, key))
        elif key != 'kernel_scale':
            yield (*path, key), (leaf, tree.get('kernel_scale') if key == 'kernel' else None)


def pack(tensors: list[Output], most: int) -> list[list[Output]]:
    """The tensors in their order, in lists of at most `most` bytes."""
    shards, room = [], 0
    for tensor in tensors:
        if tensor.bytes > room or not shards:
            shards.append([])
            room = most
        shards[-1].append(tensor)
        room -= tensor.bytes
    return shards


def write_shards(folder: pathlib.Path, shards: list[list[Output]]) -> None:
    """Writes the shards and their index into a folder; one shard alone has no index."""
    if len(shards) == 1:
        write_tensors(folder / f'{STEM}.safetensors', shards[0])
        return
    places = {}
    for number, tensors in enumerate(shards, 1):
        name = f'{STEM}-{number:05}-of-{len(shards):05}.safetensors'
        write_tensors(folder / name, tensors)
        places |= {tensor.name: name for tensor in tensors}
    size = sum(tensor.bytes for tensors in shards for tensor in tensors)
    index = {'metadata': {'total_size': size}, 'weight_map': places}
    (folder / f'{STEM}.safetensors.index.json').write_text(json.dumps(index, indent=2) + '\n')


def _described(config):
    """diffusers' config.json of a WanConfig."""
    return {
        '_class_name': 'WanTransformer3DModel', '_diffusers_version': '0.42.1', 'added_kv_proj_dim': None,
        'attention_head_dim': config.head_dim, 'cross_attn_norm': True, 'eps': config.eps, 'ffn_dim': config.ffn_dim,
        'freq_dim': config.freq_dim, 'image_dim': None, 'in_channels': config.in_channels, 'num_attention_heads': config.heads,
        'num_layers': config.layers, 'out_channels': config.out_channels, 'patch_size': list(config.patch), 'pos_embed_seq_len': None,
        'qk_norm': 'rms_norm_across_heads', 'rope_max_seq_len': 1024, 'text_dim': config.text_dim,
        **({} if config.text_len == TEXT_LEN else {'text_len': config.text_len})}  # which diffusers leaves to the pipeline


def _unwritable(path, error):
    return UserError(f'{path} cannot be written ({error.strerror or error}); free space there, or give another place')
