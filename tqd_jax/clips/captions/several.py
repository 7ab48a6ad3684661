"""Several captions of a clip as columns: `caption` has the first, and `captions` all of them where there are more than one."""
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.captions.parse import of_value
from tqd_jax.clips.tables import pieces

LISTS = pa.list_(pa.string())


def none(count: int) -> pa.ChunkedArray:
    """The lists of `count` clips without captions."""
    return pa.chunked_array([pa.ListArray.from_arrays(pa.array([0] * (count + 1), pa.int32()), pa.array([], pa.string()))], LISTS)


def lists_of(column) -> pa.ChunkedArray:
    """An Arrow column of texts, or of lists of them, as lists without blank ones: [] where there is no caption."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return pa.chunked_array([_lists(chunk) for chunk in chunks], LISTS)


def _lists(array):
    if pa.types.is_nested(array.type):
        parts = [pa.array([_captions(value) for value in piece.to_pylist()], LISTS) for piece in pieces(pa.chunked_array([array]))]
        return pa.concat_arrays([pa.array([], LISTS), *parts])
    texts = pc.fill_null(array.cast(pa.string()), '')
    full = pc.not_equal(pc.utf8_trim_whitespace(texts), '')
    ends = pc.cumulative_sum(full.cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends]) if len(array) else pa.array([0], pa.int32())
    return pa.ListArray.from_arrays(offsets, texts.filter(full))


def _captions(value):
    """The captions in a value: texts of a list as they stand; those of what lies deeper, pairs of a name and a text too, by of_value."""
    if isinstance(value, list) and all(isinstance(one, str | None) for one in value):
        return [text for text in value if text and text.strip()]
    pairs = isinstance(value, list) and all(isinstance(one, tuple) for one in value)
    return of_value({'caption': dict(value) if pairs else value})


def of_samples(column) -> pa.ChunkedArray:
    """The lists of captions in what a column says of each sample: objects, as webdataset's .json becomes in Parquet; [] of other types."""
    if not pa.types.is_struct(column.type):
        return none(len(column))
    return pa.chunked_array([pa.array(map(of_value, piece.to_pylist()), LISTS) for piece in pieces(column)], LISTS)


def of_one_clip(clips, lists) -> tuple[np.ndarray, pa.ChunkedArray]:
    """(the first row of each clip, all captions of its rows as one list) of clips of which some are listed several times."""
    codes = clips.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind='stable')
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    together = lists.combine_chunks().take(pa.array(order))
    ends = np.cumsum(pc.list_value_length(together).to_numpy())[np.cumsum(counts) - 1]
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return first, pa.chunked_array([pa.ListArray.from_arrays(offsets, together.flatten())], LISTS)


def prefer(lists, others) -> pa.ChunkedArray:
    """The lists, with those of `others` where a clip has none."""
    chosen = pc.if_else(pc.greater(pc.list_value_length(lists), 0), lists, others)
    return chosen if isinstance(chosen, pa.ChunkedArray) else pa.chunked_array([chosen], LISTS)


def spread(lists, mask) -> pa.ChunkedArray:
    """Lists of the rows where an Arrow mask is true as lists of all rows, empty elsewhere."""
    place = pc.subtract(pc.cumulative_sum(mask.cast(pa.int32())), 1)
    empty = none(len(mask)).combine_chunks()
    return pc.if_else(mask, lists.combine_chunks().take(pc.max_element_wise(place, 0)), empty)


def columns_of(lists) -> dict:
    """{'caption': the first of each or ''} and, where a clip has several, {'captions': lists, null of clips that have fewer than two}."""
    counts = pc.list_value_length(lists)
    first = [pc.fill_null(_first(chunk), '') for chunk in lists.chunks]
    columns = {'caption': pa.chunked_array(first, pa.string())}
    if (pc.max(counts).as_py() or 0) > 1:
        columns['captions'] = pc.if_else(pc.greater(counts, 1), lists, pa.scalar(None, LISTS))
    return columns


def _first(chunk):
    counts = pc.list_value_length(chunk)
    padded = pc.if_else(pc.greater(counts, 0), chunk, pa.scalar([None], LISTS))
    return pc.list_element(padded, 0)
