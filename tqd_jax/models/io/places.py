"""find_parts: where the transformers, the VAE, the text encoder and the tokenizer of a Wan model lie, found by what their files hold."""
import dataclasses
import json
import pathlib
import re
from typing import Any

from tqd_jax.models.io.files import INDEX, SHARD, open_tensors
from tqd_jax.models.io.names import layout_of
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

BOUNDARY = 0.875  # of Wan 2.2 T2V-A14B: from this noise level up the expert for high noise works
CLASSES = ('WanModel', 'WanTransformer3DModel')
TOKENIZERS = ('tokenizer.json', 'spiece.model')
WORDS = {'transformer': 'a transformer', 'vae': 'a VAE', 'text_encoder': 'a text encoder', None: 'other weights'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WanParts:
    """Where the parts of a model lie: files or folders for open_tensors, and the tokenizer's file or folder.

    experts: {'model': path}, or {'high': path, 'low': path}, the experts for high and for low noise. vae, text_encoder, tokenizer: None
    where there is none. layout: of the transformers' names, 'original' or 'diffusers'. settings: the parsed config.json beside the (first)
    transformer, None where there is none. boundary: the noise level in [0, 1] where the expert for high noise takes over; None for one
    transformer.
    """
    experts: dict[str, pathlib.Path]
    layout: str
    settings: dict[str, Any] | None
    boundary: float | None
    vae: pathlib.Path | None
    text_encoder: pathlib.Path | None
    tokenizer: pathlib.Path | None


def find_parts(path: str | pathlib.Path, *, vae: str | pathlib.Path | None = None, text_encoder: str | pathlib.Path | None = None,
               tokenizer: str | pathlib.Path | None = None) -> WanParts:
    """The parts of a model.

    path: a folder as diffusers has it, a folder as Wan-AI has it (2.1, or 2.2 with high_noise_model and low_noise_model), a folder of
      single files, or one file of a transformer. Weights in the folder and in its folders are told apart by their tensors, never by names;
      names tell the two experts apart. vae, text_encoder, tokenizer: used instead of what the folder has.

    Raises UserError, saying what was found and where: there is no transformer; there is one expert of two, or more transformers than that;
    two files could be the same part; a given file is another part; a file is damaged.
    """
    path = pathlib.Path(path)
    kinds = kinds_of(path)
    pipeline = (_parsed(path / 'model_index.json') if path.is_dir() else None) or {}
    experts = _experts(path, kinds, (pipeline.get('transformer_2') or [None])[0] is not None)
    first = next(iter(experts.values()))
    paths = {'vae': vae, 'text_encoder': text_encoder}
    parts = {part: _replacement(part, place) if place else _only(part, kinds) for part, place in paths.items()}
    return WanParts(
        experts=experts, layout=layout_of(open_tensors(first))[0], settings=config_beside(first), **parts,
        boundary=None if 'model' in experts else pipeline.get('boundary_ratio') or BOUNDARY,
        tokenizer=_existing(pathlib.Path(tokenizer)) if tokenizer else _tokenizer(path))


def find_transformers(path: str | pathlib.Path) -> list[pathlib.Path]:
    """Every transformer in a file or folder, whether or not they make a model. Raises UserError where a file is damaged."""
    return [place for place, kind in kinds_of(pathlib.Path(path)).items() if kind == 'transformer']


def kinds_of(path: pathlib.Path) -> dict[pathlib.Path, str | None]:
    """{what may be a part: which part it is}, of a file or folder."""
    return {place: part_of(place) for place in candidates(path)}


def candidates(path: pathlib.Path) -> list[pathlib.Path]:
    """What may be a part: the path itself where it is a file; else folders of shards and single files, in the folder and in its folders."""
    if not path.is_dir():
        return [path]
    folders = [path, *sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith('.'))]
    return [place for folder in folders for place in _weights(folder)]


def part_of(path: pathlib.Path) -> str | None:
    """'transformer', 'vae', 'text_encoder' or None, by the names of the tensors in a file or a folder of shards."""
    names = [f'.{name}' for name in open_tensors(path)]
    has = lambda *parts: any(f'.{part}' in name for name in names for part in parts)
    if layout_of(name[1:] for name in names):
        return 'transformer'
    if has('decoder.middle.', 'decoder.mid_block.'):
        return 'vae'
    original = has('token_embedding.weight') and has('blocks.0.pos_embedding.')
    return 'text_encoder' if original or has('shared.weight', 'encoder.embed_tokens.weight') else None


def config_beside(place: pathlib.Path) -> dict[str, Any] | None:
    """The config.json beside a transformer, if it is a transformer's."""
    settings = _parsed((place if place.is_dir() else place.parent) / 'config.json')
    return settings if settings and settings.get('_class_name') in CLASSES else None


def _weights(folder):
    files = sorted(file for file in folder.iterdir() if file.suffix in ('.safetensors', '.pth') and not file.name.startswith('.'))
    if not any(folder.glob(f'*{INDEX}')) and not any(SHARD.search(file.name) for file in files):
        return files
    shards = {tensor.path for tensor in open_tensors(folder).values()}
    return [folder, *(file for file in files if file not in shards)]


def _experts(path, kinds, two):
    """{'model': place}, or {'high': place, 'low': place}; two: the folder says that there are two."""
    places = [place for place, kind in kinds.items() if kind == 'transformer']
    if not places:
        raise UserError(f'{path} has no Wan transformer; found: {_listed(path, kinds) or "no weights at all"}; '
                        'give a folder or file with one')
    two = two or len(places) == 2
    experts = {_expert(place.relative_to(path), two): place for place in places}
    if len(places) == 1 and 'model' not in experts:
        raise UserError(f'{path} has one expert of two, that for {next(iter(experts))} noise, at {places[0]}; get the other one too, '
                        'or give the path of this one to take it as a whole model')
    if len(places) > 1 and (len(places) > 2 or experts.keys() != {'high', 'low'}):
        raise UserError(f'{path} has {counted(len(places), "transformer")}, {", ".join(map(str, places))}; give the path of one, or '
                        'a folder of two '
                        'experts with high and low in their names')
    return {name: experts[name] for name in ('model', 'high', 'low') if name in experts}


def _expert(place, two):
    """'high', 'low' or 'model' by the place within the folder; diffusers' transformer is the expert for high noise if there is a second."""
    name = place.as_posix().lower()
    if place.parts[:1] == ('transformer_2',) or re.search(r'(^|[^a-z])low([^a-z]|$)', name):
        return 'low'
    return 'high' if re.search(r'(^|[^a-z])high([^a-z]|$)', name) or (two and place.parts[:1] == ('transformer',)) else 'model'


def _only(part, kinds):
    places = [place for place, kind in kinds.items() if kind == part]
    if len(places) > 1:
        raise UserError(f'{" and ".join(map(str, places))} are each {WORDS[part]}; keep one in the folder, or give the path of one')
    return places[0] if places else None


def _replacement(part, path):
    path = pathlib.Path(path)
    if (is_part := part_of(path)) != part:
        raise UserError(f'{path} is {WORDS[is_part]}, not {WORDS[part]}; give the path of {WORDS[part]}')
    return path


def _existing(path):
    if not path.exists():
        raise UserError(f'there is no tokenizer {path}; give a folder or file that has {" or ".join(TOKENIZERS)}')
    return path


def _tokenizer(path):
    """The first folder that has a tokenizer's file: the model's, one in it, or one in those."""
    folders = [path, *sorted(path.glob('*/')), *sorted(path.glob('*/*/'))] if path.is_dir() else []
    return next((folder for folder in folders if any((folder / name).is_file() for name in TOKENIZERS)), None)


def _parsed(path):
    """The object in a JSON file, None where there is no file."""
    try:
        return dict(json.loads(path.read_text())) if path.is_file() else None
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f'{path} cannot be read ({error}); get the file again') from error


def _listed(path, kinds):
    return ', '.join(f'{WORDS[kind]} at {place.relative_to(path)}' if place != path else WORDS[kind] for place, kind in kinds.items())
