"""Captions that lie beside clips, NAME.txt of NAME.mp4: found among a list of names, and read by whatever opens them.

Names are those of files, of objects under a URL or of an archive's members: this module touches none of them.
"""
import collections
import dataclasses
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.captions.parse import captions_of_text
from tqd_jax.clips.captions.several import LISTS
from tqd_jax.clips.listing.encoding import decode, words_for

ENDINGS = ('.txt', '.text', '.caption', '.cap', '.json')  # the first that has a caption counts
TEXT_FOLDER = r'(^|/)(?:labels|captions|caption|texts|text|txt|prompts)/'  # where texts lie apart: labels/1.txt of videos/1.mp4
VIDEO_FOLDER = r'(^|/)(?:videos|video|clips|mp4)/'
PIECE = 4096  # clips whose texts are read at a time
LARGEST = 2**20  # bytes of a text that are read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """What lies beside clips.

    lists: their captions, list<string> [n].
    read: {ending, with its encoding where that is not UTF-8, as '.txt' or '.txt in UTF-16': clips that have their captions of such a file}.
    files: {ending: files that belong to a clip, read or not}. faults: pairs of a name and the reason why it gives no caption, the first of
    each ending.
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
    parts, counts, faults = [], collections.Counter(), {}
    for first in range(0, len(clips), PIECE):
        rows = {ending: column.slice(first, PIECE).to_pylist() for ending, column in candidates.items()}
        found = [[] for _ in range(min(PIECE, len(clips) - first))]
        for ending, column in rows.items():
            open_rows = [row for row, name in enumerate(column) if name is not None and not found[row]]
            for row, data in zip(open_rows, read([column[row] for row in open_rows]) if open_rows else (), strict=True):
                found[row], fault, encoding = _captions(data, ending)
                counts[f'{ending} in {encoding}' if encoding else ending] += bool(found[row])
                if fault:
                    faults.setdefault(ending, (column[row], fault))
        parts.append(pa.array(found, LISTS))
    files = {ending: len(column) - column.null_count for ending, column in candidates.items()}
    return Beside(lists=pa.chunked_array(parts, LISTS), read=+counts, files=files, faults=tuple(faults.values()))


def find_beside(clips: pa.Array, names: pa.Array, by_sample: bool = False) -> dict[str, pa.Array]:
    """{ending: the name that lies beside each clip, null where none does}, of the endings that occur."""
    found = {}
    for ending in ENDINGS:
        own = names.filter(pc.ends_with(names, ending, ignore_case=True))
        if len(own):
            stems, of_clips = _stem(own), _stem(clips)
            apart = pc.replace_substring_regex(stems, TEXT_FOLDER, r'\1'), pc.replace_substring_regex(of_clips, VIDEO_FOLDER, r'\1')
            place = pc.coalesce(pc.index_in(of_clips, value_set=stems), pc.index_in(clips, value_set=stems),
                                pc.index_in(apart[1], value_set=apart[0]))
            place = pc.coalesce(place, pc.index_in(_sample(clips), value_set=stems)) if by_sample else place
            found[ending] = own.take(place)
    return {ending: column for ending, column in found.items() if column.null_count < len(column)}


def _stem(names):
    return pc.replace_substring_regex(names, r'\.[^./:]*$', '')


def _sample(names):
    return pc.replace_substring_regex(names, r'\.[^/]*$', '')


def _captions(data, ending):
    """(captions, None, the encoding in words, '' of UTF-8) of a file's bytes, or ([], why there are none, '')."""
    if isinstance(data, Exception):
        return [], f'cannot be read ({type(data).__name__})', ''
    text, encoding = decode(data)
    if '\0' in text:
        return [], 'is not text', ''
    try:
        captions = captions_of_text(text, ending)
    except ValueError:
        return [], 'is not JSON', ''
    return captions, None if captions else 'has no caption', words_for(encoding)
