"""The columns of a Library, from scores.parquet, a few thousand rows at a time: a million clips cost their bytes alone."""
import os

import numpy as np
import pyarrow as pa

from tqd_jax.clips.content import content_number
from tqd_jax.clips.places import join
from tqd_jax.clips.strings import Builder
from tqd_jax.data.buckets import assign_bucket
from tqd_jax.scoring.scores import read_scores

NUMBERS = {'mq': np.float64, 'vq': np.float64, 'width': np.int64, 'height': np.int64, 'duration': np.float64}
TEXTS = ('clip', 'id', 'source', 'caption')


def read_columns(path, text, buckets, fps):
    """The fields of a Library that a scores.parquet determines, of the clips without a reason, in its order, and source_names.

    paths, captions: Strings; relative paths are seen from the table's folder. ids uint64, the first half of each content id.
    bucket int [n]. source int [n] into source_names, which are sorted. tokens: what the TextEncoder `text` prepares of the captions.
    mq, vq, width, height, duration [n].
    """
    parts, paths, captions, sources = {}, Builder(), Builder(), {}
    for batch in read_scores(path).batches([*TEXTS, *NUMBERS], 'scores'):
        paths.add(pa.array([join(os.fspath(path.parent), name) for name in batch['clip'].to_pylist()], pa.string()))
        captions.add(batch['caption'])
        numbers = {name: batch[name].to_numpy(zero_copy_only=False).astype(kind) for name, kind in NUMBERS.items()}
        clips = zip(*(numbers[name].tolist() for name in ('width', 'height', 'duration')), strict=True)
        values = numbers | {
            'ids': np.array([content_number(key) for key in batch['id'].to_pylist()], np.uint64),
            'bucket': np.array([assign_bucket(*clip, buckets, fps) for clip in clips]),
            'source': np.array([sources.setdefault(name, len(sources)) for name in batch['source'].to_pylist()]),
            'tokens': text.prepare(batch['caption'].to_pylist())}
        for name, value in values.items():
            parts.setdefault(name, []).append(value)
    arrays = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    names, order = np.unique(list(sources), return_inverse=True)
    arrays['source'] = order[arrays['source']]
    return arrays | {'paths': paths.build(), 'captions': captions.build(), 'source_names': tuple(names.tolist())}
