"""Captions that lie beside clips, NAME.txt of NAME.mp4: found among a list of names, and read by whatever opens them.

Names are those of files, of objects under a URL or of an archive's members: this module touches none of them.
"""
import collections
import dataclasses
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.captions.parse import ENDINGS, LARGEST, NoText, captions_of_text
from tqd_jax.clips.captions.several import LISTS
from tqd_jax.clips.listing.encoding import decode, words_for

TEXT_FOLDER = r'(^|/)(?:labels|captions|caption|texts|text|txt|prompts)/'  # where texts lie apart: labels/1.txt of videos/1.mp4
VIDEO_FOLDER = r'(^|/)(?:videos|video|clips|mp4)/'
SAID = r'\.(?:captions?|text|prompts?)$'  # within a text's name, what it is: a.caption.txt of a.mp4
RATE = r'\?fps=\d+(?:\.\d+)?$'  # after a clip of numbered pictures, as the user writes it
PIECE = 4096  # clips whose texts are read at a time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """What lies beside clips.

    lists: their captions, list<string> [n].
    read: {ending, with its encoding where that is not UTF-8, as '.txt' or '.txt in UTF-16': clips that have their captions of such a file}.
    files: {ending: files that belong to a clip, read or not}. faults: pairs of a name and the reason why it gives no caption, the first of
    each ending and reason, with how many more there are.
    """
    lists: pa.ChunkedArray
    read: dict
    files: dict
    faults: tuple


def captions_beside(clips: pa.Array, names: pa.Array, read: Callable[[Sequence[str]], Sequence[bytes | Exception]], *,
                    by_sample: bool = False) -> Beside:
    """The captions of clips in the files of their names. clips, names: texts; a clip a/b.mp4 has a/b.txt or a/b.mp4.txt,
    and videos/b.mp4 may have labels/b.txt.

    read: the bytes of so many names, or what went wrong, in order; a few thousand are asked at a time.
    by_sample: a clip a/b.c.mp4 has a/b.txt too, as a sample of webdataset is called by its name up to the first dot.
    """
    candidates = find_beside(clips, names, by_sample)
    parts, counts, faults, faulty = [], collections.Counter(), {}, collections.Counter()
    for first in range(0, len(clips), PIECE):
        rows = {ending: column.slice(first, PIECE).to_pylist() for ending, column in candidates.items()}
        found = [[] for _ in range(min(PIECE, len(clips) - first))]
        for ending, column in rows.items():
            open_rows = [row for row, name in enumerate(column) if name is not None and not found[row]]
            for row, data in zip(open_rows, read([column[row] for row in open_rows]) if open_rows else (), strict=True):
                found[row], fault, encoding = _captions(data, ending)
                counts[f'{ending} in {encoding}' if encoding else ending] += bool(found[row])
                if fault:
                    faults.setdefault((ending, fault), column[row])
                    faulty[ending, fault] += 1
        parts.append(pa.array(found, LISTS))
    files = {ending: len(column) - column.null_count for ending, column in candidates.items()}
    more = lambda kind: f', as {faulty[kind] - 1} more {kind[0]}' if faulty[kind] > 1 else ''
    told = tuple((name, kind[1] + more(kind)) for kind, name in faults.items())
    return Beside(lists=pa.chunked_array(parts, LISTS), read=+counts, files=files, faults=told)


def find_beside(clips: pa.Array, names: pa.Array, by_sample: bool = False) -> dict[str, pa.Array]:
    """{ending: the name that lies beside each clip, null where none does}, of the endings that occur.

    Letters that are composed in one name and decomposed in the other are the same. A text in a folder of texts belongs to the one clip that
    may have it: of two, as videos/1.mp4 and clips/1.mp4, to none. A text a.caption.txt is of a.mp4 where there is no a.caption.mp4.
    """
    found, whole = {}, _alike(pc.replace_substring_regex(clips, RATE, ''))
    of_clips = _stem(whole)
    apart = _one_each(of_clips)
    for ending in ENDINGS:
        own = names.filter(pc.ends_with(names, ending, ignore_case=True))
        if len(own):
            stems = _stem(_alike(own))
            inner = pc.replace_substring_regex(stems, TEXT_FOLDER, r'\1')
            inner = pc.if_else(pc.not_equal(inner, stems), inner, pa.scalar(None, inner.type))
            place = pc.coalesce(pc.index_in(of_clips, value_set=stems), pc.index_in(whole, value_set=stems),
                                pc.index_in(apart, value_set=inner, skip_nulls=True))
            said = _said(stems, of_clips)
            place = pc.coalesce(place, pc.index_in(of_clips, value_set=said, skip_nulls=True))
            if by_sample:
                sample = _sample(whole)
                place = pc.coalesce(place, pc.index_in(sample, value_set=stems), pc.index_in(sample, value_set=said, skip_nulls=True))
            found[ending] = own.take(place)
    return {ending: column for ending, column in found.items() if column.null_count < len(column)}


def _said(stems, of_clips):
    """The stems of texts without the word that they are captions; null where there is none, or the whole is a clip's."""
    short = pc.replace_substring_regex(stems, SAID, '')
    own = pc.or_(pc.equal(short, stems), pc.is_in(stems, value_set=of_clips))
    return pc.if_else(own, pa.scalar(None, short.type), short)


def _one_each(stems):
    """The stems of clips as seen from outside a folder of videos; null where two folders have a clip of that name."""
    own = stems.unique()
    outer = pc.value_counts(pc.replace_substring_regex(own, VIDEO_FOLDER, r'\1'))
    several = outer.field('values').filter(pc.greater(outer.field('counts'), 1))
    seen = pc.replace_substring_regex(stems, VIDEO_FOLDER, r'\1')
    return pc.if_else(pc.is_in(seen, value_set=several), pa.scalar(None, seen.type), seen)


def _alike(names):
    return pc.utf8_normalize(names, form='NFC')


def _stem(names):
    return pc.replace_substring_regex(names, r'\.[^./:]*$', '')


def _sample(names):
    return pc.replace_substring_regex(names, r'\.[^/]*$', '')


def _captions(data, ending):
    """(captions, None, the encoding in words, '' of UTF-8) of a file's bytes, or ([], why there are none, '')."""
    if isinstance(data, Exception):
        return [], f'cannot be read ({type(data).__name__})', ''
    text, encoding = decode(data, cut=len(data) >= LARGEST)
    try:
        captions = captions_of_text(text, ending)
    except (ValueError, RecursionError) as error:
        return [], 'is no text' if isinstance(error, NoText) else 'is not JSON', ''
    return captions, None if captions else 'has no caption', words_for(encoding)
