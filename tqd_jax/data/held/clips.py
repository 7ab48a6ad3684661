"""The clips of a table by what training reads of them: arrays of numbers, so that a million of them cost some bytes each."""
import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tqd_jax.clips.strings import Strings
from tqd_jax.data.held.content import contents_of, of_ids
from tqd_jax.scoring.versions import is_scored, versions_of

SCORES = ('motion', 'visual', 'mq', 'vq')
TEXTS = ('caption', 'source')
MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """N clips. content: uint64 [N]; caption (all that a clip has), source, scores: uint64 [N], hashes.

    text: (column, row) -> its text, for messages; of 'caption' a list where there are several.
    """
    content: np.ndarray
    caption: np.ndarray
    source: np.ndarray
    scores: np.ndarray
    text: Callable

    def __len__(self):
        return len(self.content)

    @property
    def keys(self):
        """uint64 [N]: one number for all that training reads of a clip; two clips that are alike in all have different ones."""
        whole = self.content
        for part in (self.caption, self.source, self.scores):
            whole = whole * MIX ^ part
        return numbered(whole)

    def taken(self, rows):
        """The clips of some rows."""
        arrays = {name: getattr(self, name)[rows] for name in ('content', *TEXTS, 'scores')}
        return Clips(**arrays, text=lambda column, row: self.text(column, rows[row]))


def numbered(values):
    """uint64 [N] in which equal values are told apart: by the first, second, ... of its kind."""
    order = np.argsort(values, kind='stable')
    ordered = values[order]
    first = np.searchsorted(ordered, ordered)
    copies = np.empty(len(values), np.uint64)
    copies[order] = np.arange(len(values)) - first
    return (values ^ (values >> np.uint64(29))) * MIX + copies


def clips_of_scores(scores, names):
    """(the Clips of a Scores that have scores, the content of the others, the last parts of names whose content is unknown).

    names: of SCORES, which of them count.
    """
    parts, others, unread = [], [], set()
    several = ['captions'] if 'captions' in scores.columns else []
    for batch in scores.batches([*TEXTS, *several, *names, 'id'], 'scores'):
        parts.append([of_ids(batch['id']), _hashed_captions(batch), hashed(batch['source']), _hashed_scores(batch, names, len(batch))])
    for batch in scores.batches(['clip', 'id'], 'reason'):
        ids = of_ids(batch['id'])
        others.append(ids)
        unread |= {name.rpartition('/')[2] for name, number in zip(batch['clip'].to_pylist(), ids.tolist(), strict=True) if not number}
    whole = [np.concatenate([np.zeros(0, np.uint64), *column]) for column in zip(*parts, strict=True)] or [np.zeros(0, np.uint64)] * 4
    rows = np.flatnonzero(_has_scores(scores))
    clips = Clips(content=whole[0], caption=whole[1], source=whole[2], scores=whole[3],
                  text=_texts(scores.columns, lambda column, row: scores.texts(column, rows[[row]])[0]))
    return clips, np.concatenate([np.zeros(0, np.uint64), *others]), unread


def _has_scores(scores):
    parts = (batch['reason'].is_null().to_numpy(zero_copy_only=False) for batch in scores.batches(['reason']))
    return np.concatenate([np.zeros(0, bool), *parts])


def clips_of_table(table, names, store):
    """The Clips of a table of read_clips; contents by its own ids where this package wrote it, else as contents_of finds them."""
    paths = Strings.from_arrow(table['clip'].chunks)
    content = np.concatenate([np.zeros(0, np.uint64), *map(of_ids, table['id'].chunks)]) if is_scored(table) else contents_of(paths, store)
    return Clips(content=content, caption=_hashed_captions(table), source=hashed(table['source']),
                 scores=_hashed_scores(table, names, len(table)),
                 text=_texts(table.column_names, lambda name, row: table[name][int(row)].as_py()))


def given_scores(table, version):
    """The SCORES that a table brings for a run whose rows are all of one version: those of another version are measured again."""
    if is_scored(table) and versions_of(table) != [version]:
        return ()
    return tuple(name for name in SCORES if name in table.column_names)


def hashed(column):
    """uint64 [n] of an Arrow column of texts, or of lists of them; null and '' are one."""
    digest = lambda text: int.from_bytes(hashlib.blake2b(text.encode(errors='surrogatepass'), digest_size=8).digest())
    one = lambda value: digest('' if value is None else value if isinstance(value, str) else repr(value))
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.zeros(0, np.uint64), *(np.array(list(map(one, chunk.to_pylist())), np.uint64) for chunk in chunks)])


def _hashed_captions(columns):
    """uint64 [n]: one hash of the first caption and, where there are several, of them all; columns: a table or a record batch."""
    first = hashed(columns['caption'])
    lists = hashed(columns['captions'] if 'captions' in columns.schema.names else pa.nulls(len(first)))
    return first * MIX ^ lists


def _texts(names, text):
    """The function `text` of (column, row), whose 'caption' is the list of `captions` where a clip has several."""
    several = 'captions' in names
    return lambda column, row: (column == 'caption' and several and text('captions', row)) or text(column, row)


def _hashed_scores(columns, names, count):
    whole = np.zeros(count, np.uint64)
    for name in names:
        values = np.asarray(pa.chunked_array([columns[name]] if isinstance(columns[name], pa.Array) else columns[name].chunks,
                                             type=columns[name].type).cast(pa.float64()).to_numpy(), np.float64)
        bits = np.where(np.isnan(values), np.nan, values).view(np.uint64)
        whole = whole * MIX ^ bits
    return whole
