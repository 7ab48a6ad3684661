"""The clips of a library, and the scores of other tools that they come with, as one table."""
import os

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.manifest import clips_and_others, left_out
from tqd_jax.clips.tables import pieces
from tqd_jax.scoring.importers.scores import import_scores, merge
from tqd_jax.scoring.table import SCORES
from tqd_jax.scoring.versions import marked_table
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home


def clips_table(spec, scores, tool, flag='--clips'):
    """A table of clips, with the scores of the files `scores` by `tool`; says on stdout what of a folder is no clip.

    flag: how the user named the clips, for messages. Where the files score an axis they score it for all clips: another tool's numbers
    and ours are on two scales. Raises UserError where neither says which clips, where a `tool` comes without files, and where none of
    the scores is of one of the clips.
    """
    if not spec and not scores:
        raise UserError('--clips is missing: name a folder, a manifest or a list; or --scores, files of scores that other tools gave')
    if tool and not scores:
        raise UserError(f'--tool={tool} says what --scores are of, and there are none: name these files too')
    clips, others = clips_and_others(spec, flag=flag) if spec else (None, {})
    for line in left_out(others):
        print(line)
    if not scores:
        return clips
    folder = at_home(places.as_local(spec or ''))
    imports = merge([import_scores(path, tool=tool, root=folder if os.path.isdir(folder) else None) for path in scores])
    imports = imports.drop_columns([name for name in imports.column_names if imports[name].null_count == len(imports)])
    return imports if clips is None else joined(clips, imports)


def joined(clips, imports):
    """The clips with their imported columns, row by row of one absolute path; an imported score replaces the clips' own column."""
    rows = pc.index_in(whole_names(clips), value_set=whole_names(imports))
    if rows.null_count == len(clips):
        raise UserError(f'--scores are of none of --clips: of {whole_names(imports)[0]} there, and of {whole_names(clips)[0]} here')
    print(f'{len(clips) - rows.null_count} of {len(clips)} clips found in --scores')
    both, columns = imports.drop_columns(['clip']).take(rows), {name: clips[name] for name in clips.column_names}
    for name in both.column_names:
        own = columns.get(name) if name not in SCORES else None
        columns[name] = both[name] if own is None else pc.coalesce(both[name], own.cast(both[name].type))
    return marked_table(pa.table(columns), {'motion', 'visual'} & set(both.column_names))


def whole_names(table):
    """The clips as absolute paths, or URLs, by which two tables' rows are one clip."""
    whole = lambda clip: clip if places.is_remote(clip) else os.path.abspath(places.as_local(clip))
    return pa.chunked_array([pa.array(map(whole, chunk.to_pylist()), pa.string()) for chunk in pieces(table['clip'])], pa.string())
