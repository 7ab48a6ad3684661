"""Where each of our parameters lies in published weights, and the transposes and the order of channels between the two."""
import dataclasses
import math

import numpy as np

from tqd_jax.models.io.names import BLOCK, MODULATION, NORMS, OUTER
from tqd_jax.models.wan.rope import half_from_interleaved


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """One of our leaves as published: the original name, which has {} for the block's number; the shape in the file, of one block.

    kind: 'kernel' ([out, in] there, [in, out] ours), 'patch' ([out, in, frames, rows, columns] there, flat [in, out] ours, channels
    fastest), 'vector', or 'rows' ([1, n, dim] there, [n, dim] ours). rotated: the outputs are those of a rotated query or key.
    """
    name: str
    shape: tuple[int, ...]
    kind: str
    rotated: bool = False

    @property
    def stacked(self):
        """Whether our leaf has a leading axis of blocks."""
        return '{}' in self.name

    def names(self, config):
        """The original names of all its tensors, in the order of blocks."""
        return [self.name.format(number) for number in range(config.layers)] if self.stacked else [self.name]

    def our_shape(self, config):
        """The shape of our leaf."""
        rest = {'kernel': self.shape[::-1], 'patch': (math.prod(self.shape[1:]), self.shape[0]), 'rows': self.shape[1:]}
        return (config.layers,) * self.stacked + rest.get(self.kind, self.shape)


def entries(config):
    """{path of a leaf, such as ('blocks', 'attention', 'q', 'kernel'): Entry} of all parameters of a WanConfig."""
    d, f, patch = config.dim, config.ffn_dim, math.prod(config.patch)
    outer = {'text_in': (config.text_dim, d), 'text_out': (d, d), 'time_in': (config.freq_dim, d), 'time_out': (d, d),
             'time_rows': (d, 6 * d), 'patch_out': (d, patch * config.out_channels)}
    table = {('patch_in', 'kernel'): Entry(name='patch_embedding.weight', shape=(d, config.in_channels, *config.patch), kind='patch'),
             ('patch_in', 'bias'): Entry(name='patch_embedding.bias', shape=(d,), kind='vector'),
             ('modulation',): Entry(name=MODULATION[''][0], shape=(1, 2, d), kind='rows'),
             ('blocks', 'modulation'): Entry(name=f'blocks.{{}}.{MODULATION["blocks"][0]}', shape=(1, 6, d), kind='rows')}
    for layer, sizes in outer.items():
        table |= _linear((layer,), OUTER[layer][0], *sizes)
    for layer, (name, _) in BLOCK.items():
        sizes = {'up': (d, f), 'down': (f, d)}.get(layer, (d, d))
        rotated = layer in ('attention.q', 'attention.k')
        table |= _linear(('blocks', *layer.split('.')), f'blocks.{{}}.{name}', *sizes, rotated)
    for layer, (name, _) in NORMS.items():
        for leaf, theirs in (('scale', 'weight'), ('bias', 'bias')):
            if leaf == 'scale' or layer == 'norm':
                entry = Entry(name=f'blocks.{{}}.{name}.{theirs}', shape=(d,), kind='vector', rotated=layer.startswith('attention.'))
                table[('blocks', *layer.split('.'), leaf)] = entry
    return table


def read_slice(entry, config, arrays, index):
    """Yields our leaf's elements at an index of slices, block by block (or once), in the dtypes of `arrays`.

    arrays: {original name: array-like}; only what the index covers is read.
    """
    names, rest = (entry.names(config)[index[0]], index[1:]) if entry.stacked else ([entry.name], index)
    return (_read(entry, config, arrays[name], rest) for name in names)


def to_file(entry, config, array):
    """One block's values of our leaf in the layout of the file."""
    array = array[..., np.argsort(channel_order(config))] if entry.rotated else array
    if entry.kind == 'patch':
        _, inputs, *patch = entry.shape
        return array.reshape(*patch, inputs, -1).transpose(4, 3, 0, 1, 2)
    return array.T if entry.kind == 'kernel' else array.reshape(entry.shape)


def channel_order(config):
    """The published channel of each of our channels of a rotated query or key, [dim]."""
    heads = np.arange(config.heads)[:, None] * config.head_dim
    return (heads + half_from_interleaved(config.head_dim)[None]).ravel()


def _read(entry, config, array, index):
    if entry.kind == 'rows':
        return array[(0, *index)]
    outputs = channel_order(config)[index[-1]] if entry.rotated else index[-1]
    if entry.kind == 'vector':
        return array[outputs]
    if entry.kind == 'kernel':
        return array[outputs, index[0]].T
    kernel = array[outputs].transpose(2, 3, 4, 1, 0)
    return kernel.reshape(-1, kernel.shape[-1])[index[0]]


def _linear(path, name, inputs, outputs, rotated=False):
    return {(*path, 'kernel'): Entry(name=f'{name}.weight', shape=(outputs, inputs), kind='kernel', rotated=rotated),
            (*path, 'bias'): Entry(name=f'{name}.bias', shape=(outputs,), kind='vector', rotated=rotated)}
