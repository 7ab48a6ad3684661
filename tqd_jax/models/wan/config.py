"""WanConfig: the sizes of a Wan 2.1 transformer, the presets, and the cost of one forward pass."""
import dataclasses
import math

import jax

from tqd_jax.models.wan.lora import LoraConfig
from tqd_jax.models.wan.spread.dense import REDUCE
from tqd_jax.models.wan.spread.remat import KINDS
from tqd_jax.models.wan.target import TARGETS, target_of

CHOICES = {'dtype': ('float32', 'bfloat16'), 'remat': KINDS, 'attention': ('auto', 'xla', 'chunked', 'cudnn', 'splash'),
           'reduce': REDUCE, 'platform': (None, *TARGETS)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WanConfig:
    """Shapes and execution of a Wan 2.1 text-to-video transformer.

    layers, heads, head_dim, ffn_dim: depth, attention heads, width of a head (even, at least 6), hidden width of the feed-forward. A token
      is heads * head_dim wide.
    freq_dim: width of the sinusoidal time features (even).
    text_dim, text_len: width and number of text tokens.
    vocab: None if the text comes as features [B, text_len, text_dim]; an int if it comes as tokens [B, text_len] in [0, vocab), looked up
      in a learned table [vocab, text_dim].
    in_channels, out_channels: channels of a latent (3 for pixels).
    patch: frames, rows and columns that make one token.
    eps: added to the variance in every norm.
    dtype: what matrix products are computed in. Parameters, norms, modulation and rotation are always float32.
    remat: what the backward pass recomputes: 'none' nothing, 'dots' all but the products with weights, 'full' whole blocks, 'attention'
      all but the outputs of attention, 'offload' whole blocks, whose inputs wait in the host's memory.
    attention: 'xla', 'chunked', 'cudnn' (GPU), 'splash' (TPU), or 'auto', by target and sizes (tqd_jax/models/wan/attention.py).
    unroll: how many blocks are laid out in one iteration of the scan over depth.
    lora: the LoRA of the blocks' dense layers; None for none.
    platform: what the program is compiled for where that is not the mesh's devices: 'cpu', 'gpu', 'gpu_sm80' (a GPU of Ampere or newer) or
      'tpu'; None for the mesh's devices.
    reduce: the dtype in which devices add up their gradients of kernels and biases of products in bfloat16; of others it is float32.
    mesh: the mesh over which batch, tokens and parameters are spread (tqd_jax.models.wan.spread); None for one device, JAX's default. It
      says what the program is compiled for.

    Raises ValueError, quoting the value, where a size is not positive, a width is odd that must be even, or a choice is unknown.
    """

    layers: int
    heads: int
    head_dim: int
    ffn_dim: int
    text_dim: int
    text_len: int
    in_channels: int
    out_channels: int
    freq_dim: int = 256
    patch: tuple[int, int, int] = (1, 2, 2)
    eps: float = 1e-6
    vocab: int | None = None
    dtype: str = 'float32'
    remat: str = 'none'
    attention: str = 'auto'
    unroll: int = 1
    lora: LoraConfig | None = None
    reduce: str = 'float32'
    platform: str | None = None
    mesh: jax.sharding.Mesh | None = None

    def __post_init__(self):
        for name in ('layers', 'heads', 'ffn_dim', 'text_dim', 'text_len', 'in_channels', 'out_channels', 'eps', 'unroll'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, got {getattr(self, name)!r}')
        if self.head_dim < 6 or self.head_dim % 2:
            raise ValueError(f'head_dim must be even and at least 6 (three rotated axes), got {self.head_dim!r}')
        if self.freq_dim < 2 or self.freq_dim % 2:
            raise ValueError(f'freq_dim must be even and positive, got {self.freq_dim!r}')
        if len(self.patch) != 3 or min(self.patch) < 1:
            raise ValueError(f'patch must be three positive sizes (frames, rows, columns), got {self.patch!r}')
        if self.vocab is not None and self.vocab < 1:
            raise ValueError(f'vocab must be None or positive, got {self.vocab!r}')
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f'{name} must be one of {allowed}, got {getattr(self, name)!r}')

    @property
    def dim(self):
        """The width of a token."""
        return self.heads * self.head_dim

    @property
    def target(self):
        """What the program is compiled for: 'cpu', 'gpu', 'gpu_sm80' (a GPU of Ampere or newer), 'tpu', or another platform of JAX."""
        return self.platform or target_of(self.mesh)

    def grid(self, frames, height, width):
        """Tokens along (frames, rows, columns) of a video; ValueError if the patch doesn't divide it."""
        sizes = (frames, height, width)
        if any(n < 1 or n % p for n, p in zip(sizes, self.patch, strict=True)):
            raise ValueError(f'a video of {frames} frames, {height} x {width} cannot be cut into patches of {self.patch}')
        return tuple(n // p for n, p in zip(sizes, self.patch, strict=True))


_LATENT = dict(text_dim=4096, text_len=512, in_channels=16, out_channels=16, head_dim=128, dtype='bfloat16', remat='dots')
_PIXELS = dict(text_len=8, in_channels=3, out_channels=3, vocab=64, text_dim=64)

PRESETS = {
    'tiny': WanConfig(layers=4, heads=4, head_dim=32, ffn_dim=512, patch=(2, 4, 4), unroll=4, **_PIXELS),
    'medium': WanConfig(layers=8, heads=6, head_dim=64, ffn_dim=1536, patch=(2, 4, 4), **_PIXELS),
    'wan_1_3b': WanConfig(layers=30, heads=12, ffn_dim=8960, **_LATENT),
    'wan_14b': WanConfig(layers=40, heads=40, ffn_dim=13824, **_LATENT),
    'wan_a14b': WanConfig(layers=40, heads=40, ffn_dim=13824, **_LATENT),  # each of the two experts of 2.2
    'wan_ti2v_5b': WanConfig(layers=30, heads=24, ffn_dim=14336, **{**_LATENT, 'in_channels': 48, 'out_channels': 48}),
}


def flops_per_example(config: WanConfig, shape: tuple[int, ...]) -> int:
    """FLOPs (2 x multiply-adds) of the matrix products in one forward pass over one example.

    shape: (F, H, W) or (F, H, W, C) of the latents. Backward costs twice as much, recomputation not counted.
    """
    n, m, d = math.prod(config.grid(*shape[:3])), config.text_len, config.dim
    patch = math.prod(config.patch) * (config.in_channels + config.out_channels)
    block = n * (6 * d * d + 2 * d * config.ffn_dim) + 2 * m * d * d + 2 * n * (n + m) * d
    conditions = m * (config.text_dim * d + d * d) + config.freq_dim * d + 7 * d * d
    return 2 * (config.layers * block + n * d * patch + conditions)


def training_flops_per_example(config: WanConfig, shape: tuple[int, ...], trained: float = 1.0) -> float:
    """FLOPs of the matrix products of a training step on one example, without what rematerialisation computes again.

    trained: share of the transformer's weights that training changes. Forward and the gradient with respect to activations are once
    flops_per_example each, attention's products of activations once more, and the gradient with respect to weights is of the trained
    ones alone. Adapters (LoRA) add little and are not counted.
    """
    forward, attention = flops_per_example(config, shape), attention_flops(config, shape)
    return 2 * forward + attention + trained * (forward - attention)


def attention_flops(config: WanConfig, shape: tuple[int, ...]) -> int:
    """FLOPs of the two products of self- and cross-attention over one example, forward."""
    n = math.prod(config.grid(*shape[:3]))
    return 4 * config.layers * n * (n + config.text_len) * config.dim
