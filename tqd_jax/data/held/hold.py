"""A prepared folder against the clips that config.data names now: the same ones, under whatever paths, or what differs."""
import os

import numpy as np

from tqd_jax.clips import places
from tqd_jax.clips.render import render_library
from tqd_jax.data.held.changes import Changes, compare
from tqd_jax.data.held.clips import clips_of_scores, clips_of_table, given_scores
from tqd_jax.scoring.engine import stamp
from tqd_jax.scoring.importers.clips import clips_table
from tqd_jax.scoring.row import Settings
from tqd_jax.scoring.scores import read_scores
from tqd_jax.scoring.store import RowStore, local_store
from tqd_jax.scoring.table import rename_clips
from tqd_jax.scoring.versions import MARK

SAME = Changes(counts={}, summary='', rows=np.zeros(0, int))


def held_against(data, workdir, store, seed):
    """(Changes, what to do where there are none) of a folder with a scores.parquet; nothing is written before that is called.

    What to do: the table gets the paths that the clips have now, and the store knows them by these.
    Raises UserError where config.data.clips cannot be followed.
    """
    if data.clips is None:  # the seed says which they are
        return SAME, lambda: render_library(workdir / 'library', clips=data.rendered_clips, seed=seed)
    scores = read_scores(workdir / 'scores.parquet')
    table = clips_table(data.clips, (), None, 'config.data.clips', data.columns)
    names = given_scores(table, _version(scores))
    held, others, unread = clips_of_scores(scores, names)
    now = clips_of_table(table, names, store)
    changes = compare(held, others, unread, now)
    return changes, lambda: _respell(scores, table['clip'], changes.rows, store)


def _version(scores):
    """The version of all rows of a scores.parquet, without marks, or None where they have several."""
    texts = (batch['scorer_version'].unique().to_pylist() for batch in scores.batches(['scorer_version'], 'scores'))
    found = {text.split(MARK)[0] for some in texts for text in some}
    return found.pop() if len(found) == 1 else None


def _respell(scores, clips, rows, store):
    """Gives the clips of the table, those with scores, the names `clips` [rows], where they differ."""
    folder = places.parent(os.fspath(scores.path))
    take = lambda first, count: clips.take(rows[first:first + count]).to_pylist()
    first, same = 0, True
    for batch in scores.batches(['clip'], 'scores'):
        same = same and [places.seen_from(folder, name) for name in take(first, len(batch))] == batch['clip'].to_pylist()
        first += len(batch)
    if not same:
        _remember(scores, take, store)
        rename_clips(scores, take)


def _remember(scores, take, store):
    """The store learns which content the clips have under their new paths."""
    first = 0
    with local_store(str(store)) as local, RowStore(local, Settings().version) as database:
        for batch in scores.batches(['id'], 'scores'):
            for path, key in zip(take(first, len(batch)), batch['id'].to_pylist(), strict=True):
                database.add(path, stamp(path), {'id': key})
            first += len(batch)
