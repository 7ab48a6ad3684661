"""The clips that python -m tqd_jax.score is asked for, and the scores that they come with."""
import os

import pyarrow as pa
import pyarrow.compute

from tqd_jax.clips import places
from tqd_jax.clips.manifest import clips_and_others, left_out
from tqd_jax.scoring.importers.scores import import_scores, merge
from tqd_jax.scoring.table import SCHEMA, SCORES, is_scored
from transfer_jax.runtime.errors import UserError

GIVEN = 'given'  # the version of a row of which nothing was measured
MARK = ',given='  # in a version, before the axis that was given


def clips_table(spec, scores, tool):
    """A table of clips, with the scores of the files `scores` by `tool`; says on stdout what of a folder is no clip.

    Where the files score an axis they score it for all clips: another tool's numbers and ours are on two scales. Raises UserError where
    neither says which clips, and where none of the scores is of one of the clips.
    """
    if not spec and not scores:
        raise UserError('--clips is missing: name a folder, a manifest or a list; or --scores, files of scores that other tools gave')
    clips, others = clips_and_others(spec, flag='--clips') if spec else (None, {})
    for line in left_out(others):
        print(line)
    if not scores:
        return clips
    folder = os.path.expanduser(places.as_local(spec or ''))
    given = merge([import_scores(path, tool=tool, root=folder if os.path.isdir(folder) else None) for path in scores])
    given = given.drop_columns([name for name in given.column_names if given[name].null_count == len(given)])
    return given if clips is None else joined(clips, given)


def joined(clips, given):
    """The clips with what is given of them, found by absolute path; a score that is given replaces the clips' own column."""
    found = pa.compute.index_in(whole_names(clips), value_set=whole_names(given))
    if found.null_count == len(clips):
        raise UserError(f'--scores are of none of --clips: of {whole_names(given)[0]} there, and of {whole_names(clips)[0]} here')
    print(f'{len(clips) - found.null_count} of {len(clips)} clips found in --scores')
    both, columns = given.drop_columns(['clip']).take(found), {name: clips[name] for name in clips.column_names}
    for name in both.column_names:
        own = columns.get(name) if name not in SCORES else None
        columns[name] = both[name] if own is None else pa.compute.coalesce(both[name], own.cast(both[name].type))
    return pa.table(columns)


def whole_names(table):
    """The clips as absolute paths, or URLs: what they are told by."""
    return pa.array([clip if places.is_remote(clip) else os.path.abspath(places.as_local(clip)) for clip in table['clip'].to_pylist()])


def reusable(table, version):
    """Whether a table is one that was written before, by this version of the scorer or with given scores."""
    return is_scored(table) and {text.split(MARK)[0] for text in _versions(table)} <= {version, GIVEN}


def unmeasured(table):
    """A table without what was measured when it was written; its given scores stay."""
    if not is_scored(table):
        return table
    kept = {'clip', *(text.split(MARK)[1] for text in _versions(table) if MARK in text)}
    kept |= {'motion', 'visual'} if GIVEN in _versions(table) else set()
    return table.drop_columns([name for name in table.column_names if name in SCHEMA.names and name not in kept])


def marked(rows, axis):
    """Rows of measured clips whose `axis` is given: their version says so."""
    return (row | {'scorer_version': f'{row["scorer_version"]}{MARK}{axis}'} for row in rows)


def _versions(table):
    return [text for text in pa.compute.unique(table['scorer_version']).to_pylist() if text]
