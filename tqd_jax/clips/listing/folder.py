"""A folder of clips as a table: its videos, with captions from tables within (metadata.csv), parallel lists, and files beside each clip."""
import collections
import os
import posixpath

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.opened import reader
from tqd_jax.clips.captions.sidecars import captions_beside, find_beside
from tqd_jax.clips.listing.found import Found, NoTable
from tqd_jax.clips.listing.manifest_file import read_columns
from tqd_jax.clips.listing.parallel import is_video_list, parallel, prompts_of
from tqd_jax.clips.tables import pieces

TABLES = ('metadata', 'captions', 'caption', 'dataset', 'prompts')  # names, without ending, of tables in a folder that are read
TABLE_ENDINGS = ('.csv', '.tsv', '.jsonl', '.json', '.parquet')


def lists_of_folder(clips, files, columns) -> tuple[pa.ChunkedArray, Found]:
    """(lists of the captions of a folder's clips, a Found without a table of what was read for them).

    clips: Arrow array of their paths. files: the paths of what else lies there, whose names alone are looked at before one is opened.
    Where there are several, a table's caption goes before the line of a list, and that before a file beside the clip.
    Raises UserError where a table cannot be read, or two lists are not of one length.
    """
    lists, lines, origins, used = several.none(len(clips)), [], {}, set()
    for table, names in _tables(files, columns):
        if table.table is None:
            lines += table.lines
            continue
        lists, told, count = _added(clips, lists, table, names[0])
        lines += told
        origins |= dict.fromkeys(table.origins if count else (), count)
        used.update(names)
    open_clips = pc.equal(pc.list_value_length(lists), 0).combine_chunks()
    rows, names = clips.filter(open_clips), pa.array([places.as_text(name) for name in files if name not in used], pa.string())
    if len(rows) and len(names):
        beside = captions_beside(rows, names, reader(rows[0].as_py()))
        lists = several.prefer(lists, several.spread(beside.lists, open_clips))
        origins |= {f'{ending} beside each clip': count for ending, count in beside.read.items()}
        lines += [f'{name} {fault}' for name, fault in beside.faults]
    others = collections.Counter(map(places.ending, used))
    for ending, column in find_beside(clips, names).items():  # those of clips that have their caption from a table too
        others[ending] += len(column) - column.null_count
        names = names.filter(pc.invert(pc.is_in(names, value_set=column)))
    return lists, Found(table=None, others=dict(others), lines=tuple(lines), origins=origins, unread=_unread(names))


def _tables(files, columns):
    """Pairs of the Found of each table of captions in a folder, and the files that it was read from: those of the inner folders first."""
    named = sorted((name for name in files if _is_table(name) or is_video_list(name)), key=lambda name: (-name.count('/'), name))
    for name in filter(_is_table, named):
        try:
            yield read_columns(name, columns), (name,)
        except NoTable as error:
            yield Found(table=None, lines=(f'not read: {error}',)), (name,)
    for name in (name for name in named if not _is_table(name)):
        other = prompts_of(name, files)
        if other is not None:
            table = parallel(name, other)
            yield Found(table=table, origins={other: len(table)}), (name, other)


def _base(name):
    return posixpath.basename(name).lower()


def _is_table(name):
    stem, ending = posixpath.splitext(_base(name))
    return ending in TABLE_ENDINGS and stem in TABLES


def _added(clips, lists, found, name):
    """(the lists with those of a table where a clip had none, lines for the user, how many clips have theirs from it)."""
    table = found.table
    own = several.lists_of(table['captions'] if 'captions' in table.column_names else table['caption'])
    if 'captions' in table.column_names:
        own = several.prefer(own, several.lists_of(table['caption']))
    paths, named = _whole(clips), _whole(table['clip'].combine_chunks())
    row = pc.coalesce(pc.index_in(paths, value_set=named), pc.index_in(_stems(paths), value_set=named))
    empty = several.none(len(clips)).combine_chunks()
    theirs = pc.if_else(pc.is_valid(row), own.combine_chunks().take(pc.fill_null(row, 0)), empty)
    new = pc.and_(pc.equal(pc.list_value_length(lists), 0), pc.greater(pc.list_value_length(theirs), 0))
    lost = len(table) - len(pc.unique(row.drop_null()))
    lines = [line for line in found.lines if ' are not there: ' not in line]
    if lost:
        used = pc.is_in(pa.array(range(len(table)), pa.int32()), value_set=row)
        first = table['clip'][pc.index(used, False).as_py()]
        lines.append(f'{lost} of {len(table)} rows of {name} name no clip of the folder: the first is {first}')
    return several.prefer(lists, theirs), lines, pc.sum(new).as_py() or 0


def _whole(clips):
    """Paths as absolute ones, so that two names of one file are equal."""
    whole = lambda clip: clip if places.is_remote(clip) else os.path.abspath(places.as_local(clip))
    return pa.concat_arrays([pa.array([whole(clip) for clip in piece.to_pylist()], pa.string())
                             for piece in pieces(pa.chunked_array([clips]))]) if len(clips) else clips


def _stems(names):
    return pc.replace_substring_regex(names, r'\.[^./]*$', '')


def _unread(names):
    """('3 .txt, such as a.txt', ...) of an Arrow array of files that may have captions, by ending."""
    said = []
    for ending in (*TABLE_ENDINGS, '.txt', '.caption', '.srt', '.xlsx', '.arrow'):
        some = names.filter(pc.ends_with(names, ending, ignore_case=True))
        said += [f'{len(some)} {ending}, such as {some[0]}'] if len(some) else []
    return tuple(said)
