"""LoRA files as our parameters: any published layout in, one tree with one rank and alpha out."""
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from tqd_jax.models.io.layout import channel_order
from tqd_jax.models.io.lora_alpha import module_alpha, read_settings, unify
from tqd_jax.models.io.lora_names import TARGETS, find_modules, parse_key, to_float
from tqd_jax.models.wan.config import WanConfig
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.tensors import named_leaves


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LoraFile:
    """A LoRA in our layout: y = x W + b + (alpha / rank) x A B in every module.

    tree: {'blocks': {'attention': {'q': {'lora_a': [L, in, rank], 'lora_b': [L, rank, out]}, ...}, 'cross': ..., 'up': ..., 'down': ...}},
      float32 NumPy, only with the file's targets.
    targets: the modules of a block that the file has, such as 'attention/q', in the order of lora_names.TARGETS.
    kind: the layout. 'A': transformer.blocks.N.attn1.to_q (diffusers). 'B': diffusion_model.blocks.N.self_attn.q (ComfyUI). 'C':
      lora_unet_blocks_N_self_attn_q (kohya, musubi). 'D': the original's names with no prefix or pipe.dit. (DiffSynth). 'E':
      base_model.model. (peft).
    modules, blocks: how many modules and blocks the file has. absent: how many modules of the tree the file lacks; their A and B are 0.
    has_alpha: whether the file or its settings give alpha; else alpha is taken to be the rank, scale 1.
    """

    tree: dict[str, Any]
    rank: int
    alpha: float
    targets: tuple[str, ...]
    kind: str
    modules: int
    blocks: int
    absent: int
    has_alpha: bool


def read_lora(tensors: Mapping[str, Any], config: WanConfig, *, metadata: Mapping[str, str] | None = None,
              adapter_config: Mapping[str, Any] | None = None) -> LoraFile:
    """The LoRA of a file's tensors (arrays by name), for a model of config's sizes.

    A published A is (rank, in) and B (out, rank); ours are their transposes, and the outputs of self-attention's q and k are put in our
    order of rotated channels. Modules of lower rank are padded with zeros, which changes nothing. A block without a module that other
    blocks have gets zero A and B, which no gradient ever moves.
    metadata: of the safetensors file, tensors.metadata where that exists and None is given. adapter_config: the content of an
    adapter_config.json beside the file; it comes before the metadata. A tensor `.alpha` comes before both. Without any of them the scale
    is 1. Different scales of modules are folded into B (lora_alpha.unify).

    Raises UserError for a LoRA of another model or size, keys with no place, differences (.diff, .diff_b, .diff_m) and image parts that
    are not zero, variants (DoRA, LoKr, LoHa), an unusable alpha, or a file with no LoRA.
    """
    where = f'the LoRA {tensors.path}' if getattr(tensors, 'path', None) else 'the LoRA'
    names = find_modules(tensors, where)
    settings = read_settings(getattr(tensors, 'metadata', None) if metadata is None else metadata, adapter_config, where)
    factors = {place: _factors(tensors, place, module, config, where) for place, module in names.items()}
    ranks = [a.shape[1] for a, _ in factors.values()]
    rank, alpha, scales = unify(ranks, _alphas(tensors, names, ranks, settings, where))
    pairs = {place: (a, _times(b, scale)) for (place, (a, b)), scale in zip(factors.items(), scales, strict=True)}
    targets = tuple(target for target in TARGETS if any(target == other for _, other in names))
    return LoraFile(
        tree=_tree(pairs, targets, rank, config), rank=rank, alpha=alpha, targets=targets,
        kind=parse_key(next(iter(names.values()))['a']).kind, modules=len(names), blocks=len({block for block, _ in names}),
        absent=config.layers * len(targets) - len(names),
        has_alpha=settings is not None or all('alpha' in module for module in names.values()))


def summary(lora: LoraFile) -> str:
    """One line for the user: '240 modules of 30 blocks, rank 32, alpha 32, kind B', with what was absent or assumed."""
    absent = f', {lora.absent} absent and zero' if lora.absent else ''
    assumed = '' if lora.has_alpha else ' (none given: scale 1)'
    return f'{counted(lora.modules, "module")} of {counted(lora.blocks, "block")}{absent}, rank {lora.rank}, ' \
           f'alpha {lora.alpha:g}{assumed}, kind {lora.kind}'


def is_effective(tree: Mapping[str, Any]) -> bool:
    """Whether any module has a component (column of A, row of B) with both parts non-zero; else A B = 0 and outputs stay as they were."""
    parts = (tuple(map(np.asarray, pair)) for pair in lora_modules(tree).values())
    return any(bool(np.any(np.any(a != 0, axis=-2) & np.any(b != 0, axis=-1))) for a, b in parts)


def lora_modules(tree: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{target: (lora_a [L, in, r], lora_b [L, r, out])} of a tree, in the order of TARGETS.

    Raises ValueError where the tree has other leaves, half a pair, or none.
    """
    leaves = named_leaves(tree)
    names = {target: (f'blocks/{target}/lora_a', f'blocks/{target}/lora_b') for target in TARGETS}
    modules = {target: (leaves[a], leaves[b]) for target, (a, b) in names.items() if a in leaves and b in leaves}
    if not modules or len(leaves) != 2 * len(modules):
        raise ValueError(f'expected pairs of lora_a and lora_b of {tuple(TARGETS)} under blocks, got {sorted(leaves)}')
    return modules


def module_sizes(target: str, config: WanConfig) -> tuple[int, int]:
    """(in, out) of a target's Linear."""
    return {'up': (config.dim, config.ffn_dim), 'down': (config.ffn_dim, config.dim)}.get(target, (config.dim, config.dim))


def output_order(target: str, config: WanConfig) -> Int[np.ndarray, ' out']:
    """order, with ours[..., i] = published[..., order[i]] for the outputs of a target: half-split rotated channels, or as they are."""
    if target not in ('attention/q', 'attention/k'):
        return np.arange(module_sizes(target, config)[1])
    return channel_order(config)


def _factors(tensors, place, module, config, where):
    """A [in, r] and B [r, out] of one module in our order, held against the config."""
    block, target = place
    if block >= config.layers:
        raise UserError(f'{where} has block {block} ({module["a"]}), but the model has {config.layers} from 0; '
                        'give a LoRA of this model and size')
    a, b = tensors[module['a']], tensors[module['b']]
    inputs, outputs = module_sizes(target, config)
    rank = a.shape[0] if a.shape else 0
    if rank < 1 or (tuple(a.shape), tuple(b.shape)) != ((rank, inputs), (outputs, rank)):
        raise UserError(f'{where}: {module["a"]} is {list(a.shape)} and {module["b"]} {list(b.shape)}; this model has '
                        f'[rank, {inputs}] and [{outputs}, rank]: give a LoRA of this model and size')
    return to_float(a).T, to_float(b).T[:, output_order(target, config)]


def _alphas(tensors, names, ranks, settings, where):
    return [module_alpha(parse_key(module['a']).stem, rank, tensors[module['alpha']] if 'alpha' in module else None, settings, where)
            for module, rank in zip(names.values(), ranks, strict=True)]


def _times(b, scale):
    return b if scale == 1 else (b * np.float64(scale)).astype(np.float32)


def _tree(factors, targets, rank, config):
    """Factors by (block, target) as stacked leaves; zero where there are none."""
    tree = {}
    for target in targets:
        inputs, outputs = module_sizes(target, config)
        a, b = np.zeros((config.layers, inputs, rank), 'f'), np.zeros((config.layers, rank, outputs), 'f')
        for block in range(config.layers):
            if (block, target) in factors:
                own_a, own_b = factors[block, target]
                a[block, :, :own_a.shape[1]], b[block, :own_b.shape[0]] = own_a, own_b
        *outer, name = target.split('/')
        (tree.setdefault(outer[0], {}) if outer else tree)[name] = {'lora_a': a, 'lora_b': b}
    return {'blocks': tree}
