"""read_config: the WanConfig of published weights, by the shapes of their tensors and the config.json beside them."""
import math
import re
from collections.abc import Mapping
from typing import Any

from tqd_jax.models.io.names import by_original_names, to_diffusers
from tqd_jax.models.wan.config import WanConfig
from transfer_jax.runtime.errors import UserError

HEAD_DIM = 128  # of every published Wan
TEXT_LEN = 512
KEYS = {  # our field: keys of config.json, the original and diffusers'
    'layers': ('num_layers',), 'heads': ('num_heads', 'num_attention_heads'), 'head_dim': ('attention_head_dim',), 'ffn_dim': ('ffn_dim',),
    'text_dim': ('text_dim',), 'text_len': ('text_len',), 'in_channels': ('in_dim', 'in_channels'),
    'out_channels': ('out_dim', 'out_channels'), 'freq_dim': ('freq_dim',), 'patch': ('patch_size',), 'eps': ('eps',), 'dim': ('dim',)}
FIXED = {  # what our model computes, whatever a config.json says
    'qk_norm': (True, 'rms_norm_across_heads'), 'cross_attn_norm': (True,), 'window_size': ([-1, -1], (-1, -1)), 'image_dim': (None,),
    'added_kv_proj_dim': (None,), 'pos_embed_seq_len': (None,), 'model_type': ('t2v', 'ti2v')}


def read_config(tensors: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> WanConfig:
    """The sizes of a published transformer, vocab None; what concerns execution (dtype, remat, ...) is as WanConfig has it by default.

    tensors: of open_tensors, or any {name: array}, in any layout of tqd_jax.models.io.names. settings: the parsed config.json of the
      original or of diffusers, if there is one. Sizes come from the tensors' shapes; the number of heads from `settings`, else heads are
      128 wide; eps and the length of text from `settings`, else 1e-6 and 512.

    Raises UserError: there is no transformer, it takes images or other channels beside the video, its head width cannot be told, or a key
    of `settings` contradicts the tensors or asks for what is not supported.
    """
    source, settings = by_original_names(tensors), settings or {}
    where = source.path or 'the weights'
    sizes = _sizes(_Shapes(source, where))
    if sizes['in_channels'] > sizes['out_channels']:
        raise UserError(f'{where}: the transformer takes {sizes["in_channels"]} channels and gives {sizes["out_channels"]}, as '
                        'image-to-video and control models do, which are not supported; give a text-to-video model')
    _check_fixed(settings, where)
    try:
        config = WanConfig(**_heads(sizes.pop('dim'), settings, where), **sizes, text_len=_setting(settings, 'text_len', TEXT_LEN),
                           eps=_setting(settings, 'eps', 1e-6))
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise UserError(f'{where}: the tensors and config.json make no model ({error}); get the files again') from error
    _check_settings(config, settings, where)
    return config


class _Shapes:
    """Shapes of tensors by original name."""

    def __init__(self, source, where):
        self.source, self.where = source, where

    def __call__(self, name, ndim):
        if name not in self.source.arrays:
            theirs = self.source.prefix + (to_diffusers(name) if self.source.layout == 'diffusers' else name)
            raise UserError(f'{self.where}: the transformer lacks {theirs}; get all its shards')
        shape = tuple(self.source.arrays[name].shape)
        if len(shape) != ndim:
            raise UserError(f'{self.where}: {self.source.files[name]} has shape {list(shape)}, a transformer has {ndim} axes there')
        return shape


def _sizes(shape):
    blocks = {int(match[1]) for name in shape.source.arrays if (match := re.match(r'blocks\.(\d+)\.', name))}
    dim, channels, *patch = shape('patch_embedding.weight', 5)
    return {
        'dim': dim, 'layers': len(blocks), 'patch': tuple(patch), 'in_channels': channels,
        'out_channels': shape('head.head.weight', 2)[0] // math.prod(patch),
        'ffn_dim': shape('blocks.0.ffn.0.weight', 2)[0],
        'freq_dim': shape('time_embedding.0.weight', 2)[1],
        'text_dim': shape('text_embedding.0.weight', 2)[1],
    }


def _heads(dim, settings, where):
    """{'heads', 'head_dim'} from either, as config.json says; else heads of 128."""
    width, number = _setting(settings, 'head_dim', None), _setting(settings, 'heads', None)
    if width is None:
        width = dim // number if number and dim % number == 0 else HEAD_DIM
    if dim % width:
        raise UserError(f'{where}: tokens are {dim} wide, which heads of {width} do not divide; put the config.json of the model beside it')
    return {'heads': dim // width, 'head_dim': width}


def _setting(settings, field, default):
    return next((settings[key] for key in KEYS[field] if settings.get(key) is not None), default)


def _check_fixed(settings, where):
    for key, allowed in FIXED.items():
        if key in settings and settings[key] not in allowed:
            raise UserError(f'{where}: config.json has {key} {settings[key]!r}, which is not supported; give a text-to-video model '
                            f'with {key} {" or ".join(repr(value) for value in allowed)}')


def _check_settings(config, settings, where):
    for field, keys in KEYS.items():
        value = getattr(config, field)
        for key in keys:
            setting = tuple(settings[key]) if isinstance(settings.get(key), list) else settings.get(key)
            if setting is not None and setting != value:
                raise UserError(f'{where}: config.json has {key} {setting!r}, the tensors\' shapes say {value!r}; '
                                'put the config.json of these weights beside them')
