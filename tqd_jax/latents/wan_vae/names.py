"""What the parameters are called in published files: the original layout (Wan-AI, ComfyUI) and diffusers'."""
import dataclasses
import re

import jax
import numpy as np

from tqd_jax.latents.wan_vae.config import VaeConfig
from tqd_jax.latents.wan_vae.params import PARTS, abstract_params

_MIDDLE = {'first': ('0', 'resnets.0'), 'attention': ('1', 'attentions.0'), 'second': ('2', 'resnets.1')}
_BLOCK = {  # leaf of a residual block: original, diffusers
    'norm1': ('residual.0', 'norm1'), 'conv1': ('residual.2', 'conv1'), 'norm2': ('residual.3', 'norm2'),
    'conv2': ('residual.6', 'conv2'), 'shortcut': ('shortcut', 'conv_shortcut'),
    'norm': ('norm', 'norm'), 'qkv': ('to_qkv', 'to_qkv'), 'proj': ('proj', 'proj'),
    'spatial': ('resample.1', 'resample.1'), 'time': ('time_conv', 'time_conv')}
_OUTER = {('encoder', 'quant'): ('conv1', 'quant_conv'), ('decoder', 'quant'): ('conv2', 'post_quant_conv')}
_ENDS = {'conv_in': ('conv1', 'conv_in'), 'norm_out': ('head.0', 'norm_out'), 'conv_out': ('head.2', 'conv_out')}
_LEAVES = {'kernel': 'weight', 'bias': 'bias', 'scale': 'gamma'}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Names of a file: diffusers' or the original ones, of stages with parameter-free shortcuts (Wan 2.2) or without."""

    diffusers: bool
    residual: bool
    res_blocks: int

    def name(self, path: tuple[str, ...]) -> str:
        """The file's name of a leaf of our tree, such as ('encoder', 'conv_in', 'kernel') -> 'encoder.conv1.weight'."""
        part, group, *rest, leaf = path
        pick = lambda pair: pair[self.diffusers]
        if group == 'quant':
            name = pick(_OUTER[part, group])
        elif group in ('conv_in', 'head'):
            name = f'{part}.{pick(_ENDS[(group, *rest)[-1]])}'
        elif group == 'middle':
            name = '.'.join([part, pick(('middle', 'mid_block')), pick(_MIDDLE[rest[0]]), pick(_BLOCK[rest[1]])])
        else:
            name = f'{self.layer(part, int(rest[0]), rest[1:-1])}.{pick(_BLOCK[rest[-1]])}'
        return f'{name}.{_LEAVES[leaf]}'

    def layer(self, part: str, stage: int, layer: list[str]) -> str:
        """The name of a stage's layer: ['blocks', number], ['down'] or ['up']."""
        blocks = self.res_blocks + (part == 'decoder')
        index = int(layer[1]) if layer[0] == 'blocks' else blocks
        stages = {'encoder': ('downsamples', 'down_blocks'), 'decoder': ('upsamples', 'up_blocks')}[part][self.diffusers]
        if not self.diffusers and self.residual:
            return f'{part}.{stages}.{stage}.{stages}.{index}'
        if not self.residual and (part == 'encoder' or not self.diffusers):
            return f'{part}.{stages}.{stage * (blocks + 1) + index}'
        sampler = {'down': 'downsampler', 'up': 'upsampler' if self.residual else 'upsamplers.0'}
        return f'{part}.{stages}.{stage}.' + (f'resnets.{index}' if layer[0] == 'blocks' else sampler[layer[0]])


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an array of a file belongs: the path in our tree, its shape there, and its shape in the file."""

    path: tuple[str, ...]
    shape: tuple[int, ...]
    published: tuple[int, ...]


def places(config: VaeConfig, *, diffusers: bool, parts=PARTS) -> dict[str, Place]:
    """{name in a file: Place} of all parameters, or of those of some parts."""
    layout, found = Layout(diffusers, config.residual, config.res_blocks), {}
    for keys, leaf in jax.tree.leaves_with_path(abstract_params(config, parts)):
        path = tuple(key.key for key in keys)
        found[layout.name(path)] = Place(path, leaf.shape, _published_shape(layout.name(path), leaf.shape))
    return found


def from_published(array: np.ndarray, ndim: int) -> np.ndarray:
    """An array of a file as one of our tree with ndim axes: OIDHW -> DHWIO, OIHW -> HWIO, OI111 -> IO, C111 -> C."""
    array = array.reshape(array.shape[:ndim])  # what is beyond has size 1
    return array.transpose(*range(2, ndim), 1, 0) if ndim > 1 else array


def to_published(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse: an array of our tree as one of a file, of this shape there."""
    axes = array.ndim
    return (array.transpose(axes - 1, axes - 2, *range(axes - 2)) if axes > 1 else array).reshape(shape)


def _published_shape(name, shape):
    """The shape in a file of a leaf with our shape."""
    if name.endswith('.gamma'):
        return (*shape, 1, 1) if re.search(r'(middle\.1|attentions\.0)\.norm\.', name) else (*shape, 1, 1, 1)
    if len(shape) == 2:  # 1 x 1 within attention's frames, 1 x 1 x 1 elsewhere
        return (*shape[::-1], 1, 1) if re.search(r'\.(to_qkv|proj)\.', name) else (*shape[::-1], 1, 1, 1)
    return (shape[-1], shape[-2], *shape[:-2]) if len(shape) >= 4 else shape
