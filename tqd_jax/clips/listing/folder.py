"""A folder of clips as a table: its videos, with captions from tables within (metadata.csv), parallel lists, and files beside each clip."""
import collections
import contextlib

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.controls import control_lines
from tqd_jax.clips.captions.of_rows import captions_of_rows
from tqd_jax.clips.captions.opened import reader
from tqd_jax.clips.captions.sidecars import captions_beside, find_beside
from tqd_jax.clips.listing.found import Found, NoTable
from tqd_jax.clips.listing.manifest_file import read_columns
from tqd_jax.clips.listing.names import TABLE_ENDINGS, is_table
from tqd_jax.clips.listing.parallel import is_caption_list, is_video_list, parallel, prompts_of
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

TOLD = 20  # lines on tables
ROWS = tuple(ending for ending in TABLE_ENDINGS if ending != '.json')  # any JSON may be settings


def lists_of_folder(clips, files, columns) -> tuple[pa.ChunkedArray, Found]:
    """(lists of the captions of a folder's clips, a Found without a table of what was read for them).

    clips: Arrow array of their paths. files: the paths of what else lies there, whose names alone are looked at before one is opened.
    Where there are several, a table's caption goes before the line of a list, and that before a file beside the clip.
    Raises UserError where a table cannot be read, or two lists are not of one length.
    """
    read = list(_tables(clips, files, columns))
    lists, lines, origins = of_tables(clips, read)
    used = {name for table, names in read if table.table is not None for name in names}
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
    lines += control_lines(clips, [(table.table, names[0]) for table, names in read if table.table is not None])
    return lists, Found(table=None, others=dict(others), lines=tuple(lines), origins=origins, unread=_unread(names))


def of_tables(clips, read) -> tuple[pa.ChunkedArray, list[str], dict]:
    """(lists of captions, lines for the user, origins) of clips by pairs of the Found of a table and its files' names."""
    found = [(table, names[0]) for table, names in read if table.table is not None]
    lists, counts, lines = captions_of_rows(clips, [table.table for table, _ in found], [name for _, name in found])
    origins = {place: count for (table, _), count in zip(found, counts, strict=True) if count for place in table.origins}
    return lists, _told([table for table, _ in read]) + lines, origins


def _tables(clips, files, columns):
    """Pairs of the Found of each table of captions in a folder, and the files that it was read from: those of the inner folders first.

    A file that is called as a clip beside it is no table.
    """
    files = list(files)
    named = sorted((name for name in files if is_table(name) or is_video_list(name)), key=lambda name: (-name.count('/'), name))
    if not named:
        yield from _only_table(_not_beside(clips, [name for name in files if places.ending(name) in ROWS]), columns)
    named = _not_beside(clips, named)
    yield from read_tables(filter(is_table, named), columns)
    others = collections.defaultdict(list)
    for name in filter(is_caption_list, files):
        others[places.parent(name)].append(name)
    for name in (name for name in named if not is_table(name)):
        other = prompts_of(name, others[places.parent(name)])
        if other is not None:
            table = parallel(name, other)
            yield Found(table=table, origins={other: len(table)}), (name, other)


def _not_beside(clips, names):
    """Those of the files that are not called as a clip beside them."""
    texts = pa.array([places.as_text(name) for name in names], pa.string())
    beside = pc.is_in(_stems(texts), value_set=_stems(clips)).to_pylist()
    return [name for name, own in zip(names, beside, strict=True) if not own]


def _only_table(tables, columns):
    """As _tables does: the one table that a folder has, however it is called, if it has captions; of several each may be anything.

    One that cannot be read is of something else.
    """
    if len(tables) == 1:
        with contextlib.suppress(UserError):
            for found, names in read_tables(tables, columns):
                if found.table is not None and pc.any(pc.not_equal(pc.fill_null(found.table['caption'], ''), '')).as_py():
                    yield found, names


def read_tables(names, columns):
    """Pairs of the Found of each table of captions, which has no table where it is none, and its name in a tuple."""
    for name in names:
        try:
            yield read_columns(name, columns), (name,)
        except NoTable as error:
            yield Found(table=None, lines=(f'not read: {error}',)), (name,)


def _told(tables):
    """What was noticed when the first of the tables were read."""
    lines = [line for table in tables for line in table.lines if ' are not there: ' not in line]
    return lines[:TOLD] + ([f'{counted(len(lines) - TOLD, "more line")} like these on other tables of the '
                            'folder'] if len(lines) > TOLD else [])


def _stems(names):
    return pc.replace_substring_regex(names, r'\.[^./]*$', '')


def _unread(names):
    """('3 .txt, such as a.txt', ...) of an Arrow array of files that may have captions, by ending."""
    said = []
    for ending in (*TABLE_ENDINGS, '.txt', '.caption', '.srt', '.xlsx', '.arrow'):
        some = names.filter(pc.ends_with(names, ending, ignore_case=True))
        said += [f'{len(some)} {ending}, such as {some[0]}'] if len(some) else []
    return tuple(said)
