"""The bytes of an archive, here or elsewhere, by range: no part is read that nobody asked for."""
import dataclasses
import os

import fsspec
from fsspec.implementations.local import LocalFileSystem

from tqd_jax.clips.archives.urls import as_local, is_remote

BLOCK = 1 << 23  # bytes of a member that are fetched at a time
AHEAD = 1 << 16  # bytes fetched with each header elsewhere: the headers of a tar lie between its members


class Unreadable(Exception):
    """An archive, or a member of it, cannot be read; the message is the reason, on one line.

    of_content: whether the reason is in the archive's bytes, so that another try ends the same.
    """

    def __init__(self, reason, *, of_content=True):
        super().__init__(reason)
        self.of_content = of_content


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of any file system of fsspec."""
    system: fsspec.AbstractFileSystem
    path: str

    def open(self):
        """A binary file that can seek, for many small reads."""
        more = {} if isinstance(self.system, LocalFileSystem) else {'block_size': AHEAD, 'cache_type': 'readahead'}
        return self.system.open(self.path, 'rb', **more)

    def blocks(self, start, end):
        """The bytes from start to end, at most BLOCK at a time. Raises Unreadable where there are fewer, or the place knows no ranges."""
        if isinstance(self.system, LocalFileSystem):
            yield from self._of_file(start, end)
            return
        for first in range(start, end, BLOCK):
            last = min(first + BLOCK, end)
            block = self.system.cat_file(self.path, start=first, end=last)
            if len(block) > last - first:
                raise Unreadable('its server sends no ranges: copy the archive to this machine', of_content=False)
            if len(block) < last - first:
                raise _cut()
            yield block

    def _of_file(self, start, end):
        with open(self.path, 'rb') as file:
            file.seek(start)
            while start < end:
                block = file.read(min(BLOCK, end - start))
                if not block:
                    raise _cut()
                start += len(block)
                yield block


def source_of(path):
    """The Source of a local path, its file:// URI, or a URL."""
    if not is_remote(path):
        return Source(fsspec.filesystem('file'), os.path.abspath(as_local(path)))
    return Source(*fsspec.core.url_to_fs(path))


def summary(error):
    """An exception's kind and the beginning of its first line: some say only a name, some the whole answer of a server."""
    return ': '.join([type(error).__name__, *(line[:200] for line in str(error).splitlines()[:1])])


def _cut():
    return Unreadable('truncated: the archive ends before it does')
