"""Columns of learned scorers, stored beside the measured rows by content, so that a clip is scored once."""
import contextlib

from tqd_jax.clips.container import Limits
from tqd_jax.clips.pictures.options import PictureOptions
from tqd_jax.scoring.plugins.scorers import run_scorer
from tqd_jax.scoring.store import RowStore


def score_learned(scorer, rows, store, *, batch, workers, progress, limits=Limits(), retry=False,
                  pictures=PictureOptions()):
    """Runs a scorer over what is missing of `rows` (dicts with clip and id, or a reason), and keeps its columns in the store's file.

    Returns {clip: why} of the contents without a value. One that could not be read is asked again by the next run; one whose value is not
    finite, or whose id is None since its file could not be read, only with `retry`.
    """
    lacking = {}
    with RowStore(store, version_of(scorer, pictures)) as database:
        if retry:
            database.forget_reasons()
        keys = _missing(rows, database, lacking)
        scored = run_scorer(scorer, iter(keys), batch=batch, workers=workers, limits=limits, pictures=pictures)
        for done, (path, row) in enumerate(scored, start=1):
            if 'unread' not in row:
                database.put(keys[path], row)
            if why := row.get('unread') or row.get('reason'):
                lacking[path] = why
            progress(done, len(keys))
    return lacking


def _missing(rows, database, lacking):
    """{path: id} of one clip of each content without a row; those that are known to have no value go to `lacking`."""
    missing = {}
    for row in rows:
        if 'reason' in row:
            continue
        record = {'reason': 'its file cannot be read'} if row['id'] is None else database.of(row['id'])
        if record is None:
            missing[row['id']] = row['clip']
        elif 'reason' in record:
            lacking[row['clip']] = record['reason']
    return {path: key for key, path in missing.items()}


def with_learned(scorers, rows, store, pictures=PictureOptions()):
    """The rows, each with the scorers' columns where there are any; a clip without a value has null."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(RowStore(store, version_of(scorer, pictures))) for scorer in scorers]
        for row in rows:
            values = [database.of(row['id']) or {} for database in stores] if 'reason' not in row else []
            yield row | {name: value for one in values for name, value in one.items() if name != 'reason'}


def version_of(scorer, pictures=PictureOptions()):
    """What a scorer's rows are kept under: its own version, and that of the pictures that it sees."""
    return f'{scorer.name} {scorer.version} pictures {pictures.version}'
