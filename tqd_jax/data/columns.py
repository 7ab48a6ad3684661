"""The columns of a Library, from scores.parquet, a few thousand rows at a time: a million clips cost their bytes alone."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.archives.urls import join
from tqd_jax.clips.content import content_number
from tqd_jax.clips.strings import Builder
from tqd_jax.data.buckets import assign_bucket
from tqd_jax.scoring.scores import read_scores

NUMBERS = {'mq': np.float64, 'vq': np.float64, 'width': np.int64, 'height': np.int64, 'duration': np.float64}
TEXTS = ('clip', 'id', 'source', 'caption')


def read_columns(path, text, buckets, fps, captions='draw'):
    """The fields of a Library that a scores.parquet determines, of the clips without a reason, in its order, and source_names.

    paths, captions: Strings; relative paths are seen from the table's folder. ids uint64, the first half of each content id.
    bucket int [n]. source int [n] into source_names, which are sorted. tokens: what the TextEncoder `text` prepares of the captions.
    mq, vq, width, height, duration [n]. captions: how several of a clip are taken, of several.CAPTIONS: further [n], further_start [n],
    further_tokens [m, ...] and further_captions, Strings [m], are of those beside the first.
    """
    parts, sources, texts = {}, {}, {name: Builder() for name in ('paths', 'captions', 'further_captions')}
    scores = read_scores(path)
    lists = [name for name in ('captions',) if name in scores.columns]
    for batch in scores.batches([*TEXTS, *lists, *NUMBERS], 'scores'):
        first, counts, further = taken_captions(batch, captions)
        texts['paths'].add(pa.array([join(os.fspath(path.parent), name) for name in batch['clip'].to_pylist()], pa.string()))
        texts['captions'].add(first)
        texts['further_captions'].add(further)
        numbers = {name: batch[name].to_numpy(zero_copy_only=False).astype(kind) for name, kind in NUMBERS.items()}
        clips = zip(*(numbers[name].tolist() for name in ('width', 'height', 'duration')), strict=True)
        values = numbers | {
            'ids': np.array([content_number(key) for key in batch['id'].to_pylist()], np.uint64),
            'bucket': np.array([assign_bucket(*clip, buckets, fps) for clip in clips]),
            'source': np.array([sources.setdefault(name, len(sources)) for name in batch['source'].to_pylist()]),
            'tokens': text.prepare(first.to_pylist()), 'further': counts, 'further_tokens': text.prepare(further.to_pylist())}
        for name, value in values.items():
            parts.setdefault(name, []).append(value)
    arrays = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    names, order = np.unique(list(sources), return_inverse=True)
    arrays['source'] = order[arrays['source']]
    arrays['further_start'] = np.cumsum(arrays['further']) - arrays['further']
    return arrays | {name: builder.build() for name, builder in texts.items()} | {'source_names': tuple(names.tolist())}


def taken_captions(batch, how: str):
    """(the first caption of each row, int64 [n] how many further ones it has, these end to end), Arrow arrays of text, of a batch of rows.

    how: of several.CAPTIONS: 'draw' takes them all, 'first' no further ones, 'join' puts all into the first.
    """
    first, none = pc.fill_null(batch['caption'], ''), pa.array([], pa.string())
    if how == 'first' or 'captions' not in batch.schema.names or batch['captions'].null_count == len(batch):
        return first, np.zeros(len(batch), np.int64), none
    lists = batch['captions'].to_pylist()
    if how == 'join':
        return pa.array([' '.join(some) if some else one for some, one in zip(lists, first.to_pylist(), strict=True)], pa.string()), \
            np.zeros(len(batch), np.int64), none
    more = [some[1:] if some else [] for some in lists]
    return first, np.array([len(some) for some in more], np.int64), pa.array([one for some in more for one in some], pa.string())
