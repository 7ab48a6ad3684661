"""Which clips there are: a folder searched recursively, a manifest, a list or one file, here or elsewhere, as one checked table."""
import functools
import os
import re
import tomllib

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions.file_names import COLUMN, with_captions_of_names
from tqd_jax.clips.listing.beside import of_clips, of_folder
from tqd_jax.clips.listing.found import Found, joined
from tqd_jax.clips.listing.manifest_file import ENDINGS, PAIRS, read_manifest
from tqd_jax.clips.listing.names import parse
from tqd_jax.clips.listing.texts import one_type
from tqd_jax.clips.strings import Strings
from tqd_jax.clips.tables import refuse_duplicates
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path

NAMED = re.compile(r'[^,=/:]+=')  # how a source begins; its path may have commas and signs of equality of its own


def read_clips(spec: str, flag: str = 'config.data.clips') -> pa.Table:
    """The table of find alone."""
    return find(spec, flag).table


def left_out(others):
    """Lines for the user on {ending, or what they are: files} that find left out."""
    by_ending = lambda kind: not kind or kind.startswith('.')
    return [f'not searched: {count} {kind}' if kind == places.LOCKED else
            f'{count} {kind}' if kind == places.SERIES else
            f'left out, no videos by their ending: {count} {kind or "without one"}' if by_ending(kind) else
            f'left out: {kind}: {count}' for kind, count in sorted(others.items())]


def find(spec, flag='config.data.clips', columns=None) -> Found:
    """The Found of the clips that `spec` names: a table, and what the user is told of it; each folder is listed once.

    The table's columns are clip (path), source, caption (text), captions where a clip has
    several (lists), and whatever else a manifest has.

    spec: a folder, a manifest (.parquet, .csv, .tsv, .jsonl or .json with a column `clip`, relative to the manifest's folder, and
    optionally source, caption, motion and visual, or mq and vq; other names of columns: tqd_jax.clips.listing.names), a list (.txt, a path
    a line; '#' begins a remark, './#' a name), one video, or several of them as 'name=path,name=path'. These names become the sources of
    all clips there; a manifest's own column source stays as source_own.
    Captions of a folder come from what lies in it (tqd_jax.clips.listing.folder); those of a manifest without a column of captions, of a
    list and of a video from files beside the clips.
    mq and vq of a scores.parquet are ranks within its library: of several paths they are left out, and fitted to all clips together;
    so are its motion and visual where other paths have none, and all clips are measured by one version of the scorer.
    All paths, and the clips, may be URLs: see tqd_jax.clips.places, also for names that are not UTF-8. A URL is a folder unless its
    ending says otherwise. columns: 'clip=video,caption=prompt', names of columns for what they hold; caption=filename takes the names
    of the clips as their captions.
    Raises UserError, which names `flag`, for what is missing or impossible.
    """
    named = NAMED.match(spec) and not os.path.exists(_here(spec))
    parts = [part.split('=', 1) for part in re.split(rf',(?={NAMED.pattern})', spec)] if named else [('clips', spec)]
    columns = parse(columns, f'{flag.removesuffix("clips")}columns')
    of_names = columns.get('caption') == COLUMN
    columns = {field: name for field, name in columns.items() if not (of_names and field == 'caption')}
    read = functools.partial(read_manifest, named=bool(named), several=len(parts) > 1, columns=columns)
    found = [_read_one(_here(path), name, flag, columns, read) for name, path in parts]
    tables = _on_one_scale([one.table for one in found])
    _refuse_mixture(dict(zip((f'{name}={path}' for name, path in parts), tables, strict=True)), flag)
    table = pa.concat_tables(one_type(tables), promote_options='permissive')
    refuse_duplicates(table['clip'], f'{flag}={spec}')
    places.check_protocols(Strings.from_arrow(table['clip'].filter(pc.match_substring(table['clip'], '://')).chunks))
    found = joined(table, found)
    return found.replace(table=with_captions_of_names(table), origins={'file names': len(table)}) if of_names else found


def _on_one_scale(tables):
    """The tables, those that our scorer wrote without their motion and visual where others have none."""
    measured = PAIRS[0]
    if all(measured[0] in table.column_names for table in tables):
        return tables
    return [table.drop_columns([name for name in measured if name in table.column_names])
            if 'scorer_version' in table.column_names else table for table in tables]


def _refuse_mixture(tables, flag):
    """Raises UserError where some of {source: table} have scores of an axis and some do not: the two would be on two scales."""
    for one, other in PAIRS:
        having = [source for source, table in tables.items() if one in table.column_names]
        lacking = [source for source in tables if source not in having]
        if having and lacking:
            raise UserError(f'{flag}: {having[0]} has {one} and {other}, and {lacking[0]} does not (scores by python -m tqd_jax.score do '
                            'not count beside those of another tool); give them for all sources or for none')


def _here(path):
    return path if places.is_remote(path) else str(local_path(places.as_local(path)))


def _read_one(path, source, flag, columns, read):
    """The Found of one source, of a manifest by read(path, source)."""
    ending = places.ending(path)
    if os.path.isdir(path) or places.is_listed(path) or (places.is_remote(path) and ending not in {*ENDINGS, *places.ENDINGS}):
        return of_folder(path, source, flag, columns)
    if not places.is_remote(path) and not os.path.lexists(path):
        raise UserError(f'{flag}: there is no folder or manifest {path}')
    if ending in places.ENDINGS:
        return of_clips([path], source)
    if ending == '.toml':
        raise UserError(f'{flag}: {path} is the list of folders of another trainer: {_folders(path, flag)}')
    if ending not in ENDINGS:
        raise UserError(f'{flag}: {path} is neither a folder, nor a manifest ({", ".join(ENDINGS)}), nor a video by its ending')
    return read(path, source)


def _folders(path, flag):
    """What to write instead of a .toml of musubi-tuner or diffusion-pipe, which names folders and files."""
    try:
        with places.local_copy(path, 2**20) as local, open(local, 'rb') as file:
            listed = tomllib.load(file)
        parts = [part for name in ('datasets', 'directory') for part in listed.get(name, [])]
    except (OSError, ValueError, places.BadClip):
        parts = []
    named = [part[key] for part in parts for key in ('video_directory', 'video_jsonl_file', 'path') if key in part]
    return f'name what it names, {flag}=' + (','.join(f'part{number}={one}' for number, one in enumerate(named)) or 'name=PATH,name=PATH')
