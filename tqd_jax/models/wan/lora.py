"""LoRA (Hu et al. 2022, arXiv:2106.09685): which dense layers of a block have it, its product, its dropout, and merging it."""
import dataclasses
import re
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

GROUPS = {
    'attention': tuple(f'attention/{part}' for part in ('q', 'k', 'v', 'out')),
    'cross': tuple(f'cross/{part}' for part in ('q', 'k', 'v', 'out')),
    'ffn': ('up', 'down'),
}
MODULES = tuple(name for group in GROUPS.values() for name in group)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """y = x W + b + (alpha / rank) x A B in the target layers of every block, A [in, rank] and B [rank, out].

    rank, alpha: of the product above. targets: names among 'attention', 'cross' and 'ffn', or one regular expression that the whole name
    of a layer matches: 'attention/q', ... 'cross/out', 'up', 'down'. dropout: the probability that an entry of A's input becomes 0; the
    others are divided by 1 - dropout.

    Raises ValueError where a number is out of range, or targets name no layer.
    """
    rank: int = 32
    alpha: float = 32.0
    targets: tuple[str, ...] | str = ('attention', 'cross')
    dropout: float = 0.0

    def __post_init__(self):
        if self.rank < 1 or not self.alpha > 0:
            raise ValueError(f'rank and alpha of a LoRA must be positive, got {self.rank!r} and {self.alpha!r}')
        if not 0 <= self.dropout < 1:
            raise ValueError(f'the dropout of a LoRA must be in [0, 1), got {self.dropout!r}')
        if not self.modules:
            raise ValueError(f'{self.targets!r} is no target of a LoRA: take names among {tuple(GROUPS)}, or a regular expression '
                             f'that matches some of {MODULES}')

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / self.rank

    @property
    def modules(self) -> tuple[str, ...]:
        """The target layers, in the order of MODULES; () where targets name none, or name one that is not there."""
        if not isinstance(self.targets, str):
            groups = self.targets if set(self.targets) <= GROUPS.keys() else ()
            return tuple(name for group, names in GROUPS.items() if group in groups for name in names)
        try:
            pattern = re.compile(self.targets)
        except re.error:
            return ()
        return tuple(name for name in MODULES if pattern.fullmatch(name))


def product(x: Float[Array, '... inputs'], a: Float[Array, 'inputs rank'], b: Float[Array, 'rank outputs'],
            scale: float) -> Float[Array, '... outputs']:
    """scale x A B, computed in x's dtype; A B itself is never formed."""
    return (x @ a.astype(x.dtype) * jnp.asarray(scale, x.dtype)) @ b.astype(x.dtype)


def drop(x: Float[Array, 'batch ...'], keys, name: str, probability: float) -> Float[Array, 'batch ...']:
    """x with each entry 0 with this probability, else divided by 1 - probability; the mask of row i is a function of (keys[i], name)."""
    keys = fold(keys, zlib.crc32(name.encode()))
    mask = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - probability, x.shape[1:]))(keys)
    return jnp.where(mask, x / jnp.asarray(1 - probability, x.dtype), jnp.zeros((), x.dtype))


def fold(keys, number):
    """The typed PRNG keys [B], each folded with one number."""
    return jax.vmap(lambda key: jax.random.fold_in(key, jnp.asarray(number, jnp.uint32)))(keys)


def merge_lora(config, params):
    """(config without LoRA, params with W + (alpha / rank) A B for every target's W): what computes the same with no LoRA at all.

    params: a nested dict with NumPy or JAX leaves, merged leaf by leaf. The sum is formed in float32 and has W's dtype, or float32 where W
    is stored as integers or float8 with a scale; kernels without LoRA stay as they are stored.
    """
    return dataclasses.replace(config, lora=None), _merged(params, config.lora.scale)


def _merged(tree, scale):
    if not isinstance(tree, dict):
        return tree
    if 'lora_a' not in tree:
        return {name: _merged(value, scale) for name, value in tree.items()}
    rest = {name: value for name, value in tree.items() if name not in ('kernel', 'kernel_scale', 'lora_a', 'lora_b')}
    kernel, dtype = tree['kernel'].astype(np.float32), tree['kernel'].dtype
    if 'kernel_scale' in tree:
        kernel, dtype = kernel * tree['kernel_scale'], np.float32
    return {**rest, 'kernel': (kernel + np.float32(scale) * (tree['lora_a'] @ tree['lora_b'])).astype(dtype)}
