"""What a loader reads from a cache: latents in place of frames, and text features in place of tokens."""
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32, Float64, Int, Int32, Shaped

from tqd_jax.cache.keys import LatentSettings, TextSettings, latent_keys, text_keys
from tqd_jax.cache.reader import Reader, unique_keys
from tqd_jax.cache.shard import folder_of
from tqd_jax.cache.windows import window_of
from tqd_jax.data.rows import Rows
from transfer_jax.runtime.errors import UserError

HOW = 'encode the library again, with the settings that training has: python -m tqd_jax.encode, or the training itself'


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentStore:
    """Latents of a library's clips, for a Loader. records: [n, windows] into the reader, -1 where the cache lacks one."""
    rows: Rows
    reader: Reader
    records: Int32[np.ndarray, 'n windows']

    def example(self, clip, bucket, place: Float64[np.ndarray, '3']) -> Float32[np.ndarray, 'f h w channels']:
        """The latents of the window that place[0] falls to. place[1:] has no part in it: the crop is that of the encoding.

        Raises UserError where the cache lacks the window, or its file is damaged.
        """
        window = window_of(place[0], self.records.shape[1])
        record = self.records[clip, window]
        if record < 0:
            raise UserError(f'{self.reader.folder} lacks window {window} of {self.rows.paths[clip]}: {HOW}')
        return self.reader[record].astype(np.float32)

    def fetch(self):
        """Copies what it reads from an object store to the local disk. Raises UserError where that has no room."""
        self.reader.fetch(self.records)

    def missing(self) -> Int[np.ndarray, ' m']:
        """The rows of which the cache lacks a window: not encoded yet, or they cannot be."""
        return np.flatnonzero((self.records < 0).any(axis=1))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextStore:
    """Text features of a library's captions, for a Loader.

    records: of the unique captions, into the reader; -1 where the cache lacks one. length: rows that a model reads. empty: number of the
    empty caption.
    """
    reader: Reader
    records: Int32[np.ndarray, ' u']
    length: int
    empty: int

    def rows(self, numbers: Int[np.ndarray, ' batch']) -> Shaped[np.ndarray, 'batch {self.length} width']:
        """The features of captions by their numbers, in the dtype of the cache, with zeros after the end of each.

        Raises UserError where the cache lacks one, or its file is damaged.
        """
        records = self.records[numbers]
        if (records < 0).any():
            raise UserError(f'{self.reader.folder} lacks the features of a caption: {HOW}')
        features = [self.reader[record] for record in records]
        out = np.zeros((len(features), self.length, features[0].shape[1]), features[0].dtype)
        for row, one in zip(out, features, strict=True):
            row[:len(one)] = one
        return out

    def fetch(self):
        """Copies what it reads from an object store to the local disk. Raises UserError where that has no room."""
        self.reader.fetch(self.records)

    def spec(self):
        """(shape, dtype) of one row of `rows`. Raises UserError where the cache lacks the empty caption, which every encoding adds."""
        return (row := self.rows(np.array([self.empty]))[0]).shape, row.dtype

    def missing(self, numbers: Int[np.ndarray, ' n']) -> Int[np.ndarray, ' m']:
        """Where in `numbers` a caption is that the cache lacks."""
        return np.flatnonzero(self.records[numbers] < 0)


def open_latents(cache: os.PathLike | str, rows: Rows, settings: LatentSettings) -> LatentStore:
    """The LatentStore of all rows, whether their latents are there or not. Raises UserError where the cache is damaged."""
    reader = Reader.open(folder_of(cache, 'latents'))
    return LatentStore(rows=rows, reader=reader, records=reader.find(latent_keys(settings, rows)).astype(np.int32))


def open_texts(cache: os.PathLike | str, captions: Iterable[str], settings: TextSettings,
               clean: Callable[[str], str]) -> tuple[TextStore, Int32[np.ndarray, ' n']]:
    """(TextStore, the number of each caption in it), whether their features are there or not.

    Numbers are ranks among the sorted keys of these captions and the empty one, so they do not depend on what else the cache has.
    Raises UserError where the cache is damaged.
    """
    keys = text_keys(settings, map(clean, itertools.chain([''], captions)))
    unique, _, numbers = unique_keys(keys)
    reader = Reader.open(folder_of(cache, 'text'))
    store = TextStore(reader=reader, records=reader.find(unique).astype(np.int32), length=settings.length, empty=int(numbers[0]))
    return store, numbers[1:].astype(np.int32)
