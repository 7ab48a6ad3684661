"""Weights of diffusers' WanTransformer3DModel as our parameters: names, transposes, and the order of rotated channels."""
import pathlib

import numpy as np

from tqd_jax.models.wan.model import abstract_params
from tqd_jax.models.wan.rope import half_from_interleaved

_OUTER = {
    'text_in': 'condition_embedder.text_embedder.linear_1',
    'text_out': 'condition_embedder.text_embedder.linear_2',
    'time_in': 'condition_embedder.time_embedder.linear_1',
    'time_out': 'condition_embedder.time_embedder.linear_2',
    'time_rows': 'condition_embedder.time_proj',
}


def load_arrays(path):
    """The arrays of a .npz or .safetensors file, or of all .safetensors shards in a folder, by name; bfloat16 stays bfloat16.

    Raises ValueError if the path is neither.
    """
    path = pathlib.Path(path)
    if path.suffix == '.npz':
        with np.load(path) as file:
            return dict(file)
    shards = sorted(path.glob('*.safetensors')) if path.is_dir() else [path]
    if not shards or any(shard.suffix != '.safetensors' for shard in shards):
        raise ValueError(f'expected a .npz file, a .safetensors file or a folder of such, got {str(path)!r}')
    from safetensors.flax import load_file  # only the holders of such files need the package

    return {name: np.asarray(array) for shard in shards for name, array in load_file(shard).items()}


def import_torch(config, arrays):
    """Our parameters (nested dict of float32 NumPy arrays) from arrays by diffusers' names, such as `blocks.0.attn1.to_q.weight`.

    config must have vocab None: the table of tokens is ours alone. Raises ValueError if a name is missing, left over or of another shape
    than the config's.
    """
    if config.vocab is not None:
        raise ValueError(f'weights in this layout take text features, so vocab must be None, got {config.vocab}')
    source = _Source(arrays)
    params = {name: source.linear(theirs) for name, theirs in _OUTER.items()}
    params['patch_in'] = source.patch('patch_embedding')
    params['patch_out'] = source.linear('proj_out')
    params['modulation'] = source.take('scale_shift_table')[0]
    blocks = [_block(source, f'blocks.{i}', config) for i in range(config.layers)]
    params['blocks'] = _stack(blocks)
    source.finish()
    return _checked(params, abstract_params(config))


class _Source:
    """Arrays by name, each to be taken once."""

    def __init__(self, arrays):
        self.left = dict(arrays)

    def take(self, name):
        if name not in self.left:
            raise ValueError(f'the weights have no array {name!r}')
        return np.asarray(self.left.pop(name)).astype(np.float32)

    def linear(self, name):
        return {'kernel': self.take(f'{name}.weight').T, 'bias': self.take(f'{name}.bias')}

    def patch(self, name):
        kernel = self.take(f'{name}.weight').transpose(2, 3, 4, 1, 0)
        return {'kernel': kernel.reshape(-1, kernel.shape[-1]), 'bias': self.take(f'{name}.bias')}

    def finish(self):
        if self.left:
            raise ValueError(f'{len(self.left)} arrays of the weights have no place in the model, such as {min(self.left)!r}')


def _block(source, name, config):
    return {
        'modulation': source.take(f'{name}.scale_shift_table')[0],
        'attention': _attention(source, f'{name}.attn1', _rotated_order(config)),
        'cross': _attention(source, f'{name}.attn2', slice(None)),
        'norm': {'scale': source.take(f'{name}.norm2.weight'), 'bias': source.take(f'{name}.norm2.bias')},
        'up': source.linear(f'{name}.ffn.net.0.proj'),
        'down': source.linear(f'{name}.ffn.net.2'),
    }


def _attention(source, name, order):
    q, k = ({key: array[..., order] for key, array in source.linear(f'{name}.to_{part}').items()} for part in 'qk')
    norms = {f'norm_{part}': {'scale': source.take(f'{name}.norm_{part}.weight')[order]} for part in 'qk'}
    return {'q': q, 'k': k, 'v': source.linear(f'{name}.to_v'), 'out': source.linear(f'{name}.to_out.0'), **norms}


def _rotated_order(config):
    heads = np.arange(config.heads)[:, None] * config.head_dim
    return (heads + half_from_interleaved(config.head_dim)[None]).ravel()


def _stack(trees):
    if isinstance(trees[0], dict):
        return {key: _stack([tree[key] for tree in trees]) for key in trees[0]}
    return np.stack(trees)


def _checked(params, abstract, path=''):
    for key, expected in abstract.items():
        if isinstance(expected, dict):
            _checked(params[key], expected, f'{path}{key}.')
        elif params[key].shape != expected.shape:
            raise ValueError(f'{path}{key} has shape {params[key].shape} in the weights, the config wants {expected.shape}')
    return params
