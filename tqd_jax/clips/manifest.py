"""Which clips there are: a folder searched recursively, a manifest, a list or one file, here or elsewhere, as one checked table."""
import collections
import functools
import os
import re

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.manifest_file import PAIRS, READERS, read_manifest
from tqd_jax.clips.strings import Strings
from tqd_jax.clips.tables import first_line, refuse_duplicates
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import local_path

NAMED = re.compile(r'[^,=/:]+=')  # how a source begins; its path may have commas and signs of equality of its own


def read_clips(spec: str, flag: str = 'config.data.clips') -> pa.Table:
    """The table of clips_and_others alone."""
    return clips_and_others(spec, flag)[0]


def left_out(others):
    """Lines for the user on {ending: files} that clips_and_others left out."""
    return [f'not searched: {count} {kind}' if kind == places.LOCKED else
            f'left out, no videos by their ending: {count} {kind or "without one"}' for kind, count in sorted(others.items())]


def clips_and_others(spec, flag='config.data.clips'):
    """(table, {ending: files in the folders that are none by it}) of the clips that `spec` names, each folder walked once.

    The table's columns are clip (path), source, caption, and whatever else a manifest has.

    spec: a folder, a manifest (.parquet, .csv or .jsonl with a column `clip`, relative to the manifest's folder, and optionally source,
    caption, motion and visual, or mq and vq), a list (.txt, a path a line; '#' begins a remark, './#' a name), one video, or several of
    them as 'name=path,name=path'. These names become the sources of all clips there; a manifest's own column source stays as source_own.
    mq and vq of a scores.parquet are ranks within its library: of several paths they are left out, and fitted to all clips together;
    so are its motion and visual where other paths have none, and all clips are measured by one version of the scorer.
    All paths, and the clips, may be URLs: see tqd_jax.clips.places, also for names that are not UTF-8. A URL is a folder unless its
    ending says otherwise. Raises UserError, which names `flag`, for what is missing or impossible.
    """
    named = NAMED.match(spec) and not os.path.exists(_here(spec))
    parts = [part.split('=', 1) for part in re.split(rf',(?={NAMED.pattern})', spec)] if named else [('clips', spec)]
    others = collections.Counter()
    read = functools.partial(read_manifest, named=bool(named), several=len(parts) > 1)
    tables = _on_one_scale([_read_one(_here(path), name, flag, others, read) for name, path in parts])
    _refuse_mixture(dict(zip((f'{name}={path}' for name, path in parts), tables, strict=True)), flag)
    try:
        table = pa.concat_tables(tables, promote_options='permissive')
    except pa.ArrowException as error:
        raise UserError(f'{flag}={spec}: the sources have columns of one name and different types: {first_line(error)}') from error
    refuse_duplicates(table['clip'], f'{flag}={spec}')
    places.check_protocols(Strings.from_arrow(table['clip'].filter(pc.match_substring(table['clip'], '://')).chunks))
    return table, dict(others)


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


def _read_one(path, source, flag, left, read):
    """The table of one source, of a manifest by read(path, source); what its folder has else is added to the Counter `left`."""
    ending = places.ending(path)
    if os.path.isdir(path) or (places.is_remote(path) and ending not in {*READERS, *places.ENDINGS}):
        table, others = _from_folder(path, source, flag)
        left.update(others)
        return table
    if not places.is_remote(path) and not os.path.lexists(path):
        raise UserError(f'{flag}: there is no folder or manifest {path}')
    if ending in places.ENDINGS:
        return _of([path], source)
    if ending not in READERS:
        raise UserError(f'{flag}: {path} is neither a folder, nor a manifest ({", ".join(READERS)}), nor a video by its ending')
    return read(path, source)


def _of(clips, source):
    return pa.table({'clip': [places.as_text(clip) for clip in clips], 'source': [source] * len(clips), 'caption': [''] * len(clips)})


def _from_folder(folder, source, flag):
    clips, others = places.find_clips(folder)
    if not clips:
        seen = ', '.join(f'{count} {ending or "without an ending"}' for ending, count in sorted(others.items())) or 'no others'
        raise UserError(f'{flag}: no video files ({", ".join(places.ENDINGS)}) under {folder}; it has {seen}')
    return _of(clips, source), others
