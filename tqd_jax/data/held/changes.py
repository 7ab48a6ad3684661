"""What differs between the clips of a run and those that are named now: how many, and the first of each kind, in one line."""
import dataclasses

import numpy as np

from tqd_jax.data.held.clips import SCORES, TEXTS, numbered
from transfer_jax.runtime.counts import counted

LONG = 60  # characters of a text in a message


@dataclasses.dataclass(frozen=True, kw_only=True)
class Changes:
    """counts: {'caption', 'source', 'scores', 'gone', 'new': how many clips}, of which there are some. summary: the same in words.

    rows: int [N]: for each clip of the run the row of the same clip now, where nothing differs; else empty.
    """
    counts: dict
    summary: str
    rows: np.ndarray

    def __bool__(self):
        return bool(self.counts)


def compare(held, others, unread, now):
    """The Changes from the Clips `held` to the Clips `now`; what is said of others and unread: clips_of_scores.

    A clip of now that cannot be read, or that the run knew and did not use, is no change.
    """
    known = (now.content == 0) | np.isin(now.content, np.setdiff1d(others, held.content))
    if unread:
        lost = np.flatnonzero(~known & ~np.isin(now.content, held.content))
        known[[row for row in lost.tolist() if now.text('clip', row).rpartition('/')[2] in unread]] = True
    used = np.flatnonzero(~known)
    now = now.taken(used)
    left, came = _unmatched(held.keys, now.keys)
    if not len(left) and not len(came):
        return Changes(counts={}, summary='', rows=used[_places(held.keys, now.keys)])
    old, new = held.taken(left), now.taken(came)
    one, other = numbered(old.content), numbered(new.content)
    gone, added = _unmatched(one, other)
    stayed = np.flatnonzero(np.isin(one, other))
    parts = {**_differing(old, new, stayed, _places(one[stayed], other)), 'gone': _listed(old, gone, 'gone'),
             'new': _listed(new, added, 'new')}
    parts = {name: part for name, part in parts.items() if part}
    return Changes(counts={name: count for name, (count, _) in parts.items()}, summary='; '.join(words for _, words in parts.values()),
                   rows=np.zeros(0, int))


def _unmatched(one, other):
    """(places in one that are not in the other, places in the other that are not in one)."""
    return np.flatnonzero(~np.isin(one, other)), np.flatnonzero(~np.isin(other, one))


def _places(wanted, keys):
    """The place in `keys` of each of `wanted`, all of which are there."""
    order = np.argsort(keys, kind='stable')
    return order[np.searchsorted(keys, wanted, sorter=order)]


def _differing(old, new, ours, theirs):
    """{kind: (count, words)} of clips of one content, rows `ours` of old and `theirs` of new, whose caption, source or scores differ."""
    parts = {}
    for name in (*TEXTS, 'scores'):
        rows = np.flatnonzero(getattr(old, name)[ours] != getattr(new, name)[theirs])
        if len(rows):
            first = int(rows[0])
            clip, what = new.text('clip', int(theirs[first])), 'own scores' if name == 'scores' else name
            how = '' if name == 'scores' else f', {_told(old.text(name, int(ours[first])), new.text(name, int(theirs[first])))}'
            parts[name] = len(rows), f'{_clips(len(rows))} another {what} ({_first(len(rows))}{clip}{how})'.replace('another own', 'other')
    return parts


def _listed(clips, rows, what):
    if not len(rows):
        return None
    return len(rows), f'{counted(len(rows), "clip is", "clips are")} {what} ({_first(len(rows))}{clips.text("clip", int(rows[0]))})'


def _clips(count):
    return counted(count, 'clip has', 'clips have')


def _first(count):
    return 'the first is ' if count > 1 else ''


def _told(old, new):
    """'old -> new', of long texts the part from a few characters before they differ."""
    one, other = (repr('' if value is None else value) for value in (old, new))
    same = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = 0 if max(len(one), len(other)) <= LONG or same < LONG // 2 else same - LONG // 4
    short = lambda text: f'{"..." * (start > 0)}{text[start:start + LONG]}{"..." * (len(text) > start + LONG)}'
    return f'{short(one)} -> {short(other)}'


__all__ = ['SCORES', 'Changes', 'compare']
