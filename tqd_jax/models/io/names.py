"""Names of Wan's weights: ours, the original (Wan-AI, ComfyUI, Kijai, musubi-tuner) and diffusers'; prefixes are found and stripped."""
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from tqd_jax.models.io.scales import apply_scales
from transfer_jax.runtime.errors import UserError

OUTER = {  # our layer: (original, diffusers)
    'patch_in': ('patch_embedding', 'patch_embedding'),
    'text_in': ('text_embedding.0', 'condition_embedder.text_embedder.linear_1'),
    'text_out': ('text_embedding.2', 'condition_embedder.text_embedder.linear_2'),
    'time_in': ('time_embedding.0', 'condition_embedder.time_embedder.linear_1'),
    'time_out': ('time_embedding.2', 'condition_embedder.time_embedder.linear_2'),
    'time_rows': ('time_projection.1', 'condition_embedder.time_proj'),
    'patch_out': ('head.head', 'proj_out'),
}
BLOCK = {  # the same within a block
    **{f'{ours}.{part}': (f'{original}.{part}', f'{diffusers}.to_{part}') for part in 'qkv'
       for ours, original, diffusers in (('attention', 'self_attn', 'attn1'), ('cross', 'cross_attn', 'attn2'))},
    'attention.out': ('self_attn.o', 'attn1.to_out.0'),
    'cross.out': ('cross_attn.o', 'attn2.to_out.0'),
    'up': ('ffn.0', 'ffn.net.0.proj'),
    'down': ('ffn.2', 'ffn.net.2'),
}
NORMS = {
    **{f'{ours}.norm_{part}': (f'{original}.norm_{part}', f'{diffusers}.norm_{part}') for part in 'qk'
       for ours, original, diffusers in (('attention', 'self_attn', 'attn1'), ('cross', 'cross_attn', 'attn2'))},
    'norm': ('norm3', 'norm2'),
}
MODULATION = {'': ('head.modulation', 'scale_shift_table'), 'blocks': ('modulation', 'scale_shift_table')}
MARKS = {'original': 'head.modulation', 'diffusers': 'condition_embedder.time_proj.weight'}  # what a layout is recognised by
IMAGES = ('img_emb.', 'image_embedder.', '.k_img.', '.v_img.', '.norm_k_img.', '.add_k_proj.', '.add_v_proj.')
UNUSED = '.norm_added_q.weight'  # diffusers' shards may carry it; no version of the model reads it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A transformer's weights by original names.

    arrays: {original name: array-like}. files: {original name: name in the file}. extra: names in the file that the model does not have.
    layout: 'original' or 'diffusers'. prefix: what stands before every name in the file. path: of the file, '' if there is none.
    """
    arrays: dict[str, Any]
    files: dict[str, str]
    extra: tuple[str, ...]
    layout: str
    prefix: str
    path: str


def layout_of(names: Iterable[str]) -> tuple[str, str] | None:
    """(layout, prefix) of a transformer by its keys: 'original' or 'diffusers', and what stands before them; None if it is no transformer.

    Raises UserError if names of two transformers are there.
    """
    layouts = sorted((layout, name.removesuffix(mark)) for name in names for layout, mark in MARKS.items()
                     if name == mark or name.endswith(f'.{mark}'))
    if len(layouts) > 1:
        raise UserError(f'the weights hold several transformers, at {" and ".join(prefix + MARKS[layout] for layout, prefix in layouts)}; '
                        'give one of them')
    return layouts[0] if layouts else None


def by_original_names(tensors: Mapping[str, Any]) -> Published:
    """The weights of a transformer of either layout, with scales applied (apply_scales) and the prefix stripped.

    Raises UserError: no transformer is among them, it takes images, or it is quantised in an unsupported way.
    """
    path = str(getattr(tensors, 'path', ''))
    where = path or 'the weights'
    layout, prefix = layout_of(tensors) or (None, None)
    if layout is None:
        raise UserError(f'{where} {"holds" if path else "hold"} no Wan transformer: neither of {" and ".join(MARKS.values())} '
                        'is there; give the file or folder of the transformer')
    image = next((name for name in tensors if any(part in f'.{name}' for part in IMAGES)), None)
    if image:
        raise UserError(f'{where}: {image} belongs to an image-to-video model, which is not supported; give a text-to-video one')
    arrays = apply_scales(tensors)
    files = {name: to_original(name.removeprefix(prefix), layout) for name in arrays if name.startswith(prefix)}
    extra = tuple(name for name in arrays if not files.get(name) and not name.endswith(UNUSED))
    files = {original: name for name, original in files.items() if original}
    return Published(arrays={original: arrays[name] for original, name in files.items()}, files=files, extra=extra, layout=layout,
                     prefix=prefix, path=path)


def to_original(name: str, layout: str = 'diffusers') -> str | None:
    """The original name of a tensor, 'blocks.3.attn1.to_q.bias' -> 'blocks.3.self_attn.q.bias'; None if the layout has no such tensor."""
    return _renamed(name, ('original', 'diffusers').index(layout), 0)


def to_diffusers(name: str) -> str | None:
    """The name in diffusers of a tensor by its original name; None if there is no such tensor."""
    return _renamed(name, 0, 1)


def _renamed(name, source, target):
    start, number, rest = _parts(name)
    table = _TABLES[source][bool(number)]
    layer, _, leaf = rest.rpartition('.')
    if rest in table['modulation']:
        return f'{start}{table["modulation"][rest][target]}'
    if leaf in ('weight', 'bias') and layer in table['layers']:
        return f'{start}{table["layers"][layer][target]}.{leaf}'
    return None


def _parts(name):
    """('blocks.3.', '3', the rest) of a name in a block, ('', '', name) of another."""
    head, _, rest = name.partition('.')
    number, _, inner = rest.partition('.')
    return (f'blocks.{number}.', number, inner) if head == 'blocks' and number.isdigit() else ('', '', name)


def _table(source):
    """({'layers': ..., 'modulation': ...} outside the blocks, the same within) by the names of one layout."""
    index = lambda table: {names[source]: names for names in table.values()}
    return ({'layers': index(OUTER), 'modulation': {MODULATION[''][source]: MODULATION['']}},
            {'layers': index(BLOCK | NORMS), 'modulation': {MODULATION['blocks'][source]: MODULATION['blocks']}})


_TABLES = _table(0), _table(1)
