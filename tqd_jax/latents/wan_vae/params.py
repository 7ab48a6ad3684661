"""The tree of parameters of a config: shapes, and random values."""
import math

import jax
import jax.numpy as jnp

from tqd_jax.latents.wan_vae.config import VaeConfig

PARTS = ('encoder', 'decoder')


def abstract_params(config: VaeConfig, parts=PARTS, dtype='float32') -> dict:
    """{'encoder': ..., 'decoder': ...}, or some parts, of ShapeDtypeStruct.

    Kernels are [frames, rows, columns, in, out], [rows, columns, in, out] or [in, out].
    """
    shapes = {'encoder': _encoder, 'decoder': _decoder}
    leaf = lambda shape: jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
    return {part: jax.tree.map(leaf, shapes[part](config), is_leaf=lambda node: isinstance(node, tuple)) for part in parts}


def random_params(key, config: VaeConfig, dtype='float32') -> dict:
    """Kernels normal with variance 1 / inputs, scales 1, biases 0."""
    paths, tree = jax.tree.flatten_with_path(abstract_params(config, dtype=dtype))
    keys = jax.random.split(key, len(paths))
    leaves = [_random(key, path[-1].key, leaf) for key, (path, leaf) in zip(keys, paths, strict=True)]
    return jax.tree.unflatten(tree, leaves)


def _random(key, name, leaf):
    if name != 'kernel':
        return jnp.full(leaf.shape, float(name == 'scale'), leaf.dtype)
    return jax.random.normal(key, leaf.shape, leaf.dtype) * math.prod(leaf.shape[:-1]) ** -0.5


def _encoder(config):
    dims = config.encoder_dims
    return {
        'conv_in': _conv(config.pixel_channels, dims[0]),
        'stages': {str(i): _down_stage(config, i) for i in range(len(config.multipliers))},
        'middle': _middle(dims[-1]),
        'head': {'norm_out': {'scale': (dims[-1],)}, 'conv_out': _conv(dims[-1], 2 * config.z_dim)},
        'quant': _linear(2 * config.z_dim, 2 * config.z_dim),
    }


def _decoder(config):
    dims = config.decoder_dims
    return {
        'quant': _linear(config.z_dim, config.z_dim),
        'conv_in': _conv(config.z_dim, dims[0]),
        'middle': _middle(dims[0]),
        'stages': {str(i): _up_stage(config, i) for i in range(len(config.multipliers))},
        'head': {'norm_out': {'scale': (dims[-1],)}, 'conv_out': _conv(dims[-1], config.pixel_channels)},
    }


def _down_stage(config, i):
    inputs, outputs = config.encoder_dims[i:i + 2]
    stage = {'blocks': _blocks(inputs, outputs, config.res_blocks)}
    if i < len(config.temporal):
        time = {'time': {'kernel': (3, 1, 1, outputs, outputs), 'bias': (outputs,)}} if config.temporal[i] else {}
        stage['down'] = {'spatial': {'kernel': (3, 3, outputs, outputs), 'bias': (outputs,)}, **time}
    return stage


def _up_stage(config, i):
    inputs, dim = config.decoder_dims[i:i + 2]
    if i and not config.residual:
        inputs //= 2  # a resampler of Wan 2.1 halves the channels
    stage = {'blocks': _blocks(inputs, dim, config.res_blocks + 1)}
    if i < len(config.temporal):
        time = {'time': {'kernel': (3, 1, 1, dim, 2 * dim), 'bias': (2 * dim,)}} if config.temporal[::-1][i] else {}
        after = dim if config.residual else dim // 2
        stage['up'] = {'spatial': {'kernel': (3, 3, dim, after), 'bias': (after,)}, **time}
    return stage


def _blocks(inputs, outputs, count):
    return {str(j): _block(inputs if j == 0 else outputs, outputs) for j in range(count)}


def _block(inputs, outputs):
    block = {'norm1': {'scale': (inputs,)}, 'conv1': _conv(inputs, outputs),
             'norm2': {'scale': (outputs,)}, 'conv2': _conv(outputs, outputs)}
    return block | ({'shortcut': _linear(inputs, outputs)} if inputs != outputs else {})


def _middle(dim):
    attention = {'norm': {'scale': (dim,)}, 'qkv': _linear(dim, 3 * dim), 'proj': _linear(dim, dim)}
    return {'first': _block(dim, dim), 'attention': attention, 'second': _block(dim, dim)}


def _conv(inputs, outputs):
    return {'kernel': (3, 3, 3, inputs, outputs), 'bias': (outputs,)}


def _linear(inputs, outputs):
    return {'kernel': (inputs, outputs), 'bias': (outputs,)}
