"""scores.parquet read a few thousand rows at a time, so that a million clips cost their bytes alone: no object a row."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tqd_jax.clips.places import join
from tqd_jax.clips.strings import Builder
from tqd_jax.data.buckets import assign_bucket

ROWS = 8192  # rows that are read at a time
NUMBERS = {'mq': np.float64, 'vq': np.float64, 'width': np.int64, 'height': np.int64, 'duration': np.float64}
TEXTS = ('clip', 'id', 'source', 'caption')


def read_columns(path, text, buckets, fps):
    """The fields of a Library that a scores.parquet determines, of the clips without a reason, in its order, and source_names.

    paths, captions: Strings; relative paths are seen from the table's folder. ids uint64, the first half of each content id.
    bucket int [n]. source int [n] into source_names, which are sorted. tokens: what the TextEncoder `text` prepares of the captions.
    mq, vq, width, height, duration [n].
    """
    parts, paths, captions, sources = {}, Builder(), Builder(), {}
    for batch in _usable(path):
        paths.add(pa.array([join(os.fspath(path.parent), name) for name in batch['clip'].to_pylist()], pa.string()))
        captions.add(batch['caption'])
        numbers = {name: batch[name].to_numpy(zero_copy_only=False).astype(kind) for name, kind in NUMBERS.items()}
        clips = zip(*(numbers[name].tolist() for name in ('width', 'height', 'duration')), strict=True)
        values = numbers | {
            'ids': np.array([int(key[:16], 16) for key in batch['id'].to_pylist()], np.uint64),
            'bucket': np.array([assign_bucket(*clip, buckets, fps) for clip in clips]),
            'source': np.array([sources.setdefault(name, len(sources)) for name in batch['source'].to_pylist()]),
            'tokens': text.prepare(batch['caption'].to_pylist())}
        for name, value in values.items():
            parts.setdefault(name, []).append(value)
    arrays = {name: np.concatenate(parts.pop(name)) for name in list(parts)}
    names, order = np.unique(list(sources), return_inverse=True)
    arrays['source'] = order[arrays['source']]
    return arrays | {'paths': paths.build(), 'captions': captions.build(), 'source_names': tuple(names.tolist())}


def _usable(path):
    """Record batches of the clips without a reason."""
    for batch in pq.ParquetFile(path).iter_batches(ROWS, columns=[*TEXTS, *NUMBERS, 'reason']):
        batch = batch.filter(batch['reason'].is_null())
        if len(batch):
            yield batch
