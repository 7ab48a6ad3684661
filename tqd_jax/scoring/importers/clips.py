"""The clips of a library, and the scores of other tools that they come with, as one table."""
import os

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.captions.summary import caption_lines
from tqd_jax.clips.listing.names import parse
from tqd_jax.clips.listing.paths import missing_line
from tqd_jax.clips.manifest import find, left_out
from tqd_jax.scoring.importers.matching import matched_rows, whole_names
from tqd_jax.scoring.importers.scores import import_scores, merge
from tqd_jax.scoring.table import SCORES
from tqd_jax.scoring.versions import marked_table
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home


def clips_table(spec, scores, tool, flag='--clips', columns=None):
    """A table of clips, with the scores of the files `scores` by `tool`; says on stdout what of a folder is no clip, and on captions.

    flag: how the user named the clips, for messages. columns: 'clip=video,caption=prompt', names of columns of the clips' manifest, or
    without one of the scores. Where the files score an axis they score it for all clips: another tool's numbers
    and ours are on two scales. Raises UserError where neither says which clips, where a `tool` comes without files, and where none of
    the scores is of one of the clips.
    """
    if not spec and not scores:
        raise UserError('--clips is missing: name a folder, a manifest or a list; or --scores, files of scores that other tools gave')
    if tool and not scores:
        raise UserError(f'--tool={tool} says what --scores are of, and there are none: name these files too')
    found = find(spec, flag, columns) if spec else None
    key = f'{flag.removesuffix("clips")}columns'
    for line in (*left_out(found.others), *found.lines) if found else ():
        print(line)
    if not scores:
        _tell(found.table, found.origins, found.unread, key)
        return found.table
    clips, folder = found.table if found else None, at_home(places.as_local(spec or ''))
    own = None if spec else parse(columns, key)
    root = folder if os.path.isdir(folder) else None
    imports = merge([import_scores(path, tool=tool, columns=own, root=root) for path in scores])
    imports = imports.drop_columns([name for name in imports.column_names if imports[name].null_count == len(imports)])
    for line in missing_line('--scores', imports['clip']) if clips is None else ():
        print(line)
    table = imports if clips is None else joined(clips, imports)
    _tell(table, {}, found.unread if found else (), key)
    return table


def _tell(table, origins, unread, key):
    """Prints how many clips have captions, and where from."""
    if 'caption' not in table.column_names:
        table = table.append_column('caption', pa.nulls(len(table), pa.string()))
    for line in caption_lines(table, origins, unread, key):
        print(line)


def joined(clips, imports):
    """The clips with their imported columns, row by row of one absolute path; an imported score replaces the clips' own column."""
    rows = matched_rows(clips, imports)
    if rows.null_count == len(clips):
        raise UserError(f'--scores are of none of --clips: of {whole_names(imports)[0]} there, and of {whole_names(clips)[0]} here')
    print(f'{len(clips) - rows.null_count} of {counted(len(clips), "clip")} found in --scores')
    both, columns = imports.drop_columns(['clip']).take(rows), {name: clips[name] for name in clips.column_names}
    if 'caption' in both.column_names:
        columns.pop('captions', None)  # several of another caption
    for name in both.column_names:
        own = columns.get(name) if name not in SCORES else None
        columns[name] = both[name] if own is None else pc.coalesce(both[name], own.cast(both[name].type))
    return marked_table(pa.table(columns), {'motion', 'visual'} & set(both.column_names))
