"""The names of LoRA tensors in every published layout: which module of which block a key means, and which keys are refused."""
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from transfer_jax.runtime.errors import UserError

TARGETS = {  # ours: (the original's, diffusers')
    'attention/q': ('self_attn.q', 'attn1.to_q'),
    'attention/k': ('self_attn.k', 'attn1.to_k'),
    'attention/v': ('self_attn.v', 'attn1.to_v'),
    'attention/out': ('self_attn.o', 'attn1.to_out.0'),
    'cross/q': ('cross_attn.q', 'attn2.to_q'),
    'cross/k': ('cross_attn.k', 'attn2.to_k'),
    'cross/v': ('cross_attn.v', 'attn2.to_v'),
    'cross/out': ('cross_attn.o', 'attn2.to_out.0'),
    'up': ('ffn.0', 'ffn.net.0.proj'),
    'down': ('ffn.2', 'ffn.net.2'),
}
_OURS = {separated: ours for ours, names in TARGETS.items() for name in names for separated in (name, name.replace('.', '_'))}
_DIFFUSERS = {names[1] for names in TARGETS.values()}
_PREFIXES = (('base_model.model.', 'E'), ('lora_unet__', 'C'), ('lora_unet_', 'C'), ('transformer.', 'A'), ('model.diffusion_model.', 'B'),
             ('diffusion_model.', 'B'), ('pipe.dit.', 'D'))
_LEAVES = tuple((name, re.compile(rf'(.+)\.(?:{pattern})')) for name, pattern in (
    ('a', r'(?:lora_A|lora_down|lora\.down)(?:\.[^.]+)?\.weight'),
    ('b', r'(?:lora_B|lora_up|lora\.up)(?:\.[^.]+)?\.weight'),
    ('alpha', r'alpha'),
    ('diff', r'diff|diff_b|diff_m|(?:lora_B|lora_up)(?:\.[^.]+)?\.bias'),
))
_VARIANT = re.compile(r'dora_scale|lora_magnitude_vector|lokr_|hada_|oft_|lora_mid|lora_embedding')
_IMAGE = re.compile(r'[kv]_img|img_emb|add_[kv]_proj|image_embedder')


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoraKey:
    """What a key of a LoRA file means.

    kind: 'A'..'E' by the prefix (lora.py). stem: the module's name without prefix, such as 'blocks.0.ffn.2'. leaf: 'a', 'b', 'alpha',
    'diff' (a full difference of a weight, bias or modulation) or '' (none of LoRA). block, target: the place in our tree, target a key of
    TARGETS; None where the module is no Linear of a Wan block.
    """

    kind: str
    stem: str
    leaf: str
    block: int | None
    target: str | None


def parse_key(key: str) -> LoraKey:
    """The meaning of one key. Without a prefix, diffusers' names are kind A and the original's are kind D."""
    kind, rest = _split_prefix(key)
    stem, leaf = next(((match[1], name) for name, pattern in _LEAVES if (match := pattern.fullmatch(rest))), (rest, ''))
    place = re.fullmatch(r'blocks[._](\d+)[._](.+)', stem)
    target = _OURS.get(place[2]) if place else None
    kind = kind or ('A' if place and place[2] in _DIFFUSERS else 'D')
    return LoraKey(kind=kind, stem=stem, leaf=leaf, block=int(place[1]) if target else None, target=target)


def name_stem(kind: str, block: int, target: str) -> str:
    """The name of a module with its prefix in the layout 'A', 'B' or 'C', without the leaf."""
    original, diffusers = TARGETS[target]
    if kind == 'A':
        return f'transformer.blocks.{block}.{diffusers}'
    return f'diffusion_model.blocks.{block}.{original}' if kind == 'B' else f'lora_unet_blocks_{block}_{original.replace(".", "_")}'


def find_modules(tensors: Mapping[str, Any], where: str) -> dict[tuple[int, str], dict[str, str]]:
    """{(block, target): {'a': key, 'b': key, and 'alpha': key where the file has one}}, in the order of blocks and of TARGETS.

    where: the file in words, for messages. Raises UserError where the file holds what a LoRA of Wan's blocks cannot express: variants such
    as DoRA, differences or image parts that are not zero, modules of another model, half a pair, a module twice, or nothing of LoRA.
    """
    _refuse_variants(tensors, where)
    keys = {key: parse_key(key) for key in tensors}
    if not any(key.leaf in ('a', 'b') for key in keys.values()):
        raise UserError(f'{where} has no keys of a LoRA ({_some(keys)}); give a file with lora_A and lora_B, or lora_down and lora_up')
    _refuse_nonzero(tensors, keys, where)
    keys = {name: key for name, key in keys.items() if key.leaf != 'diff' and not (key.leaf and _IMAGE.search(name))}
    _refuse_unmatched(keys, where)
    modules = {}
    for name, key in sorted(keys.items(), key=lambda item: (item[1].block, list(TARGETS).index(item[1].target))):
        if modules.setdefault((key.block, key.target), {}).setdefault(key.leaf, name) != name:
            raise UserError(f'{where} has {key.leaf} of block {key.block}, {key.target} more than once ({name}); give one LoRA a file')
    _refuse_halves(modules, where)
    return modules


def _split_prefix(key):
    kind = None
    while match := next(((prefix, letter) for prefix, letter in _PREFIXES if key.startswith(prefix)), None):
        key, kind = key.removeprefix(match[0]), kind or match[1]
    return kind, key


def _some(names):
    """'3 keys: a, b, c' or '7 keys, such as a, b, c'."""
    names = sorted(names)
    word = 'key' if len(names) == 1 else 'keys'
    return f'{len(names)} {word}{": " if len(names) <= 3 else ", such as "}{", ".join(names[:3])}'


def _refuse_variants(tensors, where):
    if names := [name for name in tensors if _VARIANT.search(name)]:
        raise UserError(f'{where} is a variant of LoRA (DoRA, LoKr, LoHa or OFT; {_some(names)}), of which A and B are only a part; '
                        'merge it into base weights with the program that made it')


def _refuse_nonzero(tensors, keys, where):
    if names := [name for name, key in keys.items() if key.leaf == 'diff' and np.any(to_float(tensors[name]))]:
        raise UserError(f'{where} also has full differences that are not zero ({_some(names)}), which no LoRA can hold; '
                        'merge the file into base weights with the program that made it')
    image = {name: key for name, key in keys.items() if _IMAGE.search(name) and key.leaf in ('a', 'b')}
    zero = {key.stem for name, key in image.items() if not np.any(to_float(tensors[name]))}
    if names := [name for name, key in image.items() if key.stem not in zero]:
        raise UserError(f'{where} changes the image attention of an image-to-video model ({_some(names)}), which a text-to-video model '
                        'lacks; give a LoRA of a text-to-video model')


def _refuse_unmatched(keys, where):
    names = [name for name, key in keys.items() if not key.target or not key.leaf]
    if len(names) == len(keys):
        raise UserError(f"{where} is of another model: no key names a Linear of Wan's blocks ({_some(names)}); give a LoRA of Wan")
    if names:
        raise UserError(f"{where} has keys that name no Linear of Wan's blocks ({_some(names)}); "
                        'without them it would act otherwise, so give a LoRA of the blocks alone')


def _refuse_halves(modules, where):
    for (block, target), names in modules.items():
        if missing := {'a', 'b'} - set(names):
            raise UserError(f'{where} has no lora_{"/".join(sorted(missing)).upper()} for block {block}, {target} '
                            f'({_some(names.values())}); get the file again')


def to_float(tensor: Any) -> np.ndarray:
    """A tensor of any floating dtype, bfloat16 and float8 too, as a float32 array."""
    return np.asarray(tensor).astype(np.float32)
