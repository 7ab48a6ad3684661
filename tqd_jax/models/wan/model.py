"""The Wan 2.1 text-to-video transformer (Wan team, 2025, arXiv:2503.20314) in flax NNX, and its pure form: init_params and apply."""
import functools
import math
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tqd_jax.models.partition import merge
from tqd_jax.models.wan.config import PRESETS, WanConfig, flops_per_example
from tqd_jax.models.wan.frozen import scaled
from tqd_jax.models.wan.layers import Block, Linear, modulate, time_rows
from tqd_jax.models.wan.lora import fold
from tqd_jax.models.wan.rope import rotary_angles
from tqd_jax.models.wan.spread.remat import recomputed
from tqd_jax.models.wan.spread.rules import constrained

__all__ = ['PRESETS', 'Wan', 'WanConfig', 'abstract_params', 'apply', 'flops_per_example', 'init_params', 'time_features']

_SMALL, _UNIT = nnx.initializers.normal(0.02), nnx.initializers.normal(1.0)


class Wan(nnx.Module):
    """Predicts a field over the video from the noised video, its time and the text.

    Starts as Wan does: Xavier-uniform products, zero biases, normal(0.02) in the time and text projections, modulation rows of variance
    1 / dim, and a zero last layer, so that the first prediction is exactly zero. The blocks' parameters are stacked on a leading axis and
    scanned: one block is compiled.
    """

    def __init__(self, config, *, rngs):
        self.config = config
        dim, patch = config.dim, math.prod(config.patch)
        self.patch_in = Linear(config, patch * config.in_channels, dim, rngs, 'patch_in')
        self.embed = None if config.vocab is None else nnx.Embed(config.vocab, config.text_dim, embedding_init=_UNIT, rngs=rngs)
        self.text_in = Linear(config, config.text_dim, dim, rngs, 'text_in', kernel_init=_SMALL)
        self.text_out = Linear(config, dim, dim, rngs, 'text_out', kernel_init=_SMALL)
        self.time_in = Linear(config, config.freq_dim, dim, rngs, 'time_in', kernel_init=_SMALL, dtype='float32')
        self.time_out = Linear(config, dim, dim, rngs, 'time_out', kernel_init=_SMALL, dtype='float32')
        self.time_rows = Linear(config, dim, 6 * dim, rngs, 'time_rows', dtype='float32')
        self.blocks = _stacked(config, rngs)
        self.modulation = nnx.Param(jax.random.normal(rngs.params(), (2, dim), jnp.float32) * dim**-0.5)
        self.patch_out = Linear(config, dim, patch * config.out_channels, rngs, 'patch_out', kernel_init=nnx.initializers.zeros)

    def __call__(self, x, t, text, dropout=None):
        """The predicted field float32 [B, F, H, W, out_channels].

        x [B, F, H, W, in_channels]. t float32 in [0, 1]: [B], or [B, tokens] with a time for every token, frames slowest. text as the
        config's vocab says. dropout: typed PRNG keys [B] of LoRA's dropout, None for no dropout. Raises ValueError if the patch doesn't
        divide the video, t has another number of tokens, or keys come where there is no dropout.
        """
        grid = self.config.grid(*x.shape[1:4])
        self._check(t, dropout, math.prod(grid))
        angles = rotary_angles(grid, self.config.head_dim)[None, :, None, :]
        time, rows = self._time(t)
        tokens = self.patch_in(self._on_mesh(patchify(x, self.config.patch), 'tokens'))
        tokens = self._blocks(tokens, rows, self._text(text), (jnp.cos(angles), jnp.sin(angles)), dropout)
        shift, scale = time_rows(self.modulation[...], time)
        out = self.patch_out(modulate(tokens, shift, scale, self.config.eps))
        return unpatchify(self._on_mesh(out.astype(jnp.float32), 'field'), grid, self.config.patch)

    def _on_mesh(self, x, kind):
        return constrained(x, kind, self.config.mesh)

    def _check(self, t, dropout, tokens):
        if t.ndim > 2 or t.shape[1:] not in ((), (tokens,)):
            raise ValueError(f't must be [B] or [B, {tokens}], one of every token, got {t.shape}')
        if dropout is not None and not (self.config.lora and self.config.lora.dropout):
            raise ValueError('keys of dropout are for a LoRA with dropout > 0 alone')

    def _time(self, t):
        """The embedded time, for the head's two rows [B, ..., 2, D], and the blocks' rows [B, ..., 6, D]."""
        t = t if t.ndim == 1 else self._on_mesh(t, 'times')
        time = self.time_out(jax.nn.silu(self.time_in(time_features(t, self.config.freq_dim))))
        rows = self.time_rows(jax.nn.silu(time)).reshape(*t.shape, 6, self.config.dim)
        return time[..., None, :], self._on_mesh(rows, 'time' if t.ndim == 1 else 'token_time')

    def _text(self, text):
        features = text if self.embed is None else self.embed(text)
        return self._on_mesh(self.text_out(jax.nn.gelu(self.text_in(features), approximate=True)), 'text')

    def _blocks(self, tokens, rows, text, rotary, dropout):
        graphdef, stacked = nnx.split(self.blocks)

        def block(x, layer):
            params, number = layer
            keys = None if dropout is None else fold(dropout, number)
            return self._on_mesh(nnx.merge(graphdef, params)(x, rows, text, rotary, keys), 'tokens'), None

        layers = stacked, None if dropout is None else jnp.arange(self.config.layers)
        block, tokens = recomputed(block, self.config.remat), self._on_mesh(tokens, 'tokens')
        return jax.lax.scan(block, tokens, layers, unroll=min(self.config.unroll, self.config.layers))[0]


def patchify(x, patch):
    """[B, F, H, W, C] -> tokens [B, S, pf * ph * pw * C], frames slowest, channels fastest within a patch."""
    b, f, h, w, c = x.shape
    pf, ph, pw = patch
    x = x.reshape(b, f // pf, pf, h // ph, ph, w // pw, pw, c).transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(b, -1, pf * ph * pw * c)


def unpatchify(tokens, grid, patch):
    """The inverse of patchify for a grid (frames, rows, columns) of tokens."""
    x = tokens.reshape(-1, *grid, *patch, tokens.shape[-1] // math.prod(patch)).transpose(0, 1, 4, 2, 5, 3, 6, 7)
    return x.reshape(x.shape[0], *(g * p for g, p in zip(grid, patch, strict=True)), -1)


def time_features(t, dim):
    """[cos(w 1000 t), sin(w 1000 t)] of t [...] for dim / 2 frequencies w from 1 down towards 1e-4, float32 [..., dim]."""
    frequencies = (10000.0 ** (-np.arange(dim // 2) / (dim // 2))).astype(np.float32)
    angles = 1000 * t.astype(jnp.float32)[..., None] * jnp.expand_dims(frequencies, tuple(range(t.ndim)))
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def init_params(config, key):
    """Parameters of a fresh Wan: a nested dict with string keys, float32 leaves, blocks stacked on a leading axis.

    LoRA draws from a key of its own: all else is the same with it and without.
    """
    rngs = nnx.Rngs(params=key, lora=jax.random.fold_in(key, zlib.crc32(b'lora')))
    return nnx.to_pure_dict(nnx.state(Wan(config, rngs=rngs), nnx.Param))


@functools.lru_cache(maxsize=8)
def _described(config):
    """(Graph, shapes and dtypes of the parameters): a run asks several times, and to build the modules takes a second."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: Wan(config, rngs=nnx.Rngs(params=0, lora=0))), nnx.Param)
    return graphdef, nnx.to_pure_dict(state)


def abstract_params(config):
    """Shapes and dtypes of init_params, with nothing allocated."""
    return jax.tree.map(lambda leaf: leaf, _described(config)[1])


def apply(config):
    """The pure function (trained, frozen, x, t, text, dropout=None) -> prediction of Wan.__call__.

    trained, frozen: the two parts of what init_params lays out, as tqd_jax.models.partition.partition makes them; the frozen one as it is,
    or in the dtypes of tqd_jax.models.wan.frozen.stored.
    """
    graphdef, _ = _described(config)

    def predict(trained, frozen, x, t, text, dropout=None):
        return nnx.merge(graphdef, scaled(merge(trained, frozen)))(x, t, text, dropout)

    return predict


def _stacked(config, rngs):
    @nnx.split_rngs(splits=config.layers)
    @nnx.vmap
    def make(rngs):
        return Block(config, rngs)

    return make(rngs)
