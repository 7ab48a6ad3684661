"""Learned scorers over a library: their columns kept beside the measured rows, by content, so that a clip is scored once."""
import contextlib

from tqd_jax.quality.scorers import run_scorer
from tqd_jax.quality.store import RowStore


def score_learned(scorer, rows, store, *, batch, workers, progress):
    """Runs a scorer over what is missing of `rows` (dicts with clip and id, or a reason), and keeps its columns in the store's file."""
    with RowStore(store, version_of(scorer)) as known:
        missing = {row['id']: row['clip'] for row in rows if 'reason' not in row and not known.known(row['id'])}
        keys = {path: key for key, path in missing.items()}
        for done, (path, row) in enumerate(run_scorer(scorer, iter(keys), batch=batch, workers=workers), start=1):
            known.keep(keys[path], row)
            progress(done, len(keys))


def with_learned(scorers, rows, store):
    """The rows, each with the scorers' columns where there are any; a clip without a value has null."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(RowStore(store, version_of(scorer))) for scorer in scorers]
        for row in rows:
            values = [known.of(row['id']) or {} for known in stores] if 'reason' not in row else []
            yield row | {name: value for one in values for name, value in one.items() if name != 'reason'}


def version_of(scorer):
    return f'{scorer.name} {scorer.version}'
