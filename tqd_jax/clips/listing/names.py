"""Names of columns: which one holds the clip and which the caption, as trainers and data sets call them."""
import posixpath
import re
from collections.abc import Iterable, Mapping

from transfer_jax.runtime.errors import UserError

FIELDS = ('clip', 'caption', 'source', 'motion', 'visual', 'mq', 'vq')  # what a manifest's columns may be
CLIP = ('clip', 'file_name', 'video_file_name', 'filename', 'file_path', 'filepath', 'video_path', 'videopath', 'video_file', 'videofile',
        'video_filename', 'clip_path', 'clip_location', 'media_path', 'video', 'path', 'file', 'media', 'mp4', 'video_name', 'clip_name',
        'videoid', 'video_id', 'video_bytes', 'video_data')  # the first that is there counts
CAPTION = ('caption', 'text', 'prompt', 'captions', 'texts', 'prompts', 'video_caption', 'long_caption', 'detailed_caption',
           'dense_caption', 'caption_long', 'long_prompt', 'description', 'video_description', 'recaption', 'generated_caption',
           'short_caption', 'brief_caption', 'caption_short', 'short_prompt', 'txt')
TABLES = ('metadata', 'captions', 'caption', 'dataset', 'prompts')  # names, without ending, of tables in a folder that are read
TABLE_ENDINGS = ('.csv', '.tsv', '.jsonl', '.json', '.parquet')
BARE = ('videoid', 'video_id')  # names of clips without their ending


def plain(name: str) -> str:
    """A column's name without case, space around it, and with one sign between its words."""
    return re.sub(r'[\s_-]+', '_', name.strip('\ufeff \t\r\n').lower())


def is_clip(name: str) -> bool:
    """Whether a column of this name may hold paths of clips."""
    return plain(name) in CLIP or plain(name).endswith('_file_name')


def is_caption(name: str) -> bool:
    """Whether a column of this name may hold captions."""
    return plain(name) in CAPTION


def is_known(name: str) -> bool:
    """Whether a column of this name is one that a manifest may have."""
    return is_clip(name) or is_caption(name) or plain(name) in FIELDS


def is_table(path: str) -> bool:
    """Whether a file within a folder is called as a table of captions."""
    stem, ending = posixpath.splitext(posixpath.basename(path).lower())
    return ending in TABLE_ENDINGS and stem in TABLES


def parse(spec: str | None, flag: str) -> dict[str, str]:
    """{field: column} of 'clip=video,caption=prompt'. Raises UserError, which names `flag`, for what is neither."""
    parts = [part.partition('=') for part in (spec or '').split(',') if part.strip()]
    columns = {field.strip(): name.strip() for field, _, name in parts}
    wrong = [field for field, name in columns.items() if field not in FIELDS or not name]
    if wrong or len(columns) < len(parts):
        raise UserError(f"{flag}={spec}: write it as 'clip=video,caption=prompt', each of {', '.join(FIELDS)} once")
    return columns


def find(names: Iterable[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """{field: column} of a table with these names: those that the user says in `columns`, else those that are called so.

    Raises UserError where the user says a column that is not there.
    """
    names = list(names)
    called = lambda wanted: next((name for name in names if name == wanted), None) or next(
        (name for name in names if plain(name) == plain(wanted)), None)
    found = {field: called(name) for field, name in columns.items()}
    if lacking := [columns[field] for field, name in found.items() if name is None]:
        raise UserError(f'{where} has no column {", ".join(lacking)}; it has {", ".join(names)}')
    others = {'clip': CLIP, 'caption': CAPTION} | {field: (field,) for field in FIELDS[2:]}
    for field, options in others.items():
        if field not in found:
            found[field] = next((name for name in map(called, options) if name is not None and name not in found.values()), None)
    ending = [name for name in names if is_clip(name)]
    if found['clip'] is None and len(ending) == 1:
        found['clip'] = ending[0]
    return {field: name for field, name in found.items() if name is not None}
