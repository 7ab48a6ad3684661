"""Many texts in two arrays, so that a million of them cost their bytes alone and a worker process can map them from a file."""
import collections.abc
import itertools
import tempfile

import numpy as np

CHUNK = 4096  # texts that are decoded at a time


class Strings(collections.abc.Sequence):
    """N texts. offsets: int64 [N + 1] into data, uint8: their UTF-8 bytes, end to end.

    An integer index gives a str; a slice, a mask or an array of rows gives Strings.
    """

    def __init__(self, offsets, data):
        self.offsets, self.data = offsets, data

    @classmethod
    def of(cls, texts):
        """The Strings of an iterable of str."""
        encoded = [text.encode() for text in texts]
        return cls(_offsets([len(text) for text in encoded]), np.frombuffer(b''.join(encoded), np.uint8))

    @classmethod
    def from_arrow(cls, arrays):
        """The Strings of an iterable of Arrow arrays of texts, end to end."""
        builder = Builder()
        for array in arrays:
            builder.add(array)
        return builder.build()

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, index):
        if isinstance(index, int | np.integer):
            row = range(len(self))[index]
            return self.data[self.offsets[row]:self.offsets[row + 1]].tobytes().decode()
        rows = np.arange(len(self))[index]
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        parts = [self.data[start:end] for start, end in zip(starts, ends, strict=True)]
        return Strings(_offsets(ends - starts), np.concatenate([np.zeros(0, np.uint8), *parts]))

    def __iter__(self):
        for first in range(0, len(self), CHUNK):
            offsets = self.offsets[first:first + CHUNK + 1]
            block = self.data[offsets[0]:offsets[-1]].tobytes()
            places = (offsets - offsets[0]).tolist()
            for start, end in itertools.pairwise(places):
                yield block[start:end].decode()


class Builder:
    """Strings made piece by piece. Their bytes go to a temporary file without a name, which is mapped: read where they are used."""

    def __init__(self):
        self._file, self._offsets, self._size = tempfile.TemporaryFile(), [np.zeros(1, np.int64)], 0

    def add(self, array):
        """Appends an Arrow array of texts; null becomes ''."""
        if not len(array):
            return
        array = array.cast('large_string').fill_null('')
        _, starts, text = array.buffers()
        starts = np.frombuffer(starts, np.int64)[array.offset:array.offset + len(array) + 1]
        self._offsets.append(starts[1:] - starts[0] + self._size)
        try:
            self._size += self._file.write(memoryview(text or b'')[starts[0]:starts[-1]])
        except OSError as error:
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error

    def build(self):
        """The Strings of all that was added; nothing can be added after it."""
        with self._file as file:
            file.flush()
            data = np.memmap(file, np.uint8, mode='r').view(np.ndarray) if self._size else np.zeros(0, np.uint8)
        return Strings(np.concatenate(self._offsets), data)


def _offsets(lengths):
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
