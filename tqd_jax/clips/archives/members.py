"""A member of an archive: its bytes, copied out by their offset."""
import zipfile
import zlib

from tqd_jax.clips.archives.animated import HEAD
from tqd_jax.clips.archives.entries import STORED
from tqd_jax.clips.archives.source import BLOCK, Unreadable, source_of, summary
from tqd_jax.clips.archives.stamps import index_at
from tqd_jax.clips.archives.urls import as_local, is_remote, member_of

HEADER = 30  # bytes of a zip's local header before name and extra field


def is_member(url):
    """Whether a URL is of a member that its archive has. Raises Unreadable where the archive cannot be read."""
    member = member_of(url)
    return member is not None and index_at(*member[:2]).entry(member[2]) is not None


def member_blocks(url, max_bytes):
    """An iterator of the bytes of a member. Raises Unreadable where it is not there, larger than max_bytes, damaged or cut off."""
    archive, kind, name = member_of(url)
    entry = index_at(archive, kind).entry(name)
    if entry is None:
        raise Unreadable('no such member of the archive', of_content=False)
    if max(entry.size, entry.packed) > max_bytes:
        raise Unreadable(f'more than {max_bytes} bytes to fetch')
    source = source_of(archive)
    try:
        if entry.method == STORED:
            yield from source.blocks(entry.start, entry.start + entry.size)
        else:
            yield from _unpacked(source, entry)
    except Unreadable:
        raise
    except Exception as error:  # every backend has exceptions of its own
        raise Unreadable(summary(error), of_content=False) from error


def read_member(url, max_bytes=2**32):
    """The bytes of a member, in one piece. Raises Unreadable."""
    return b''.join(member_blocks(url, max_bytes))


def head_of(path):
    """The first HEAD bytes of a local file, or of a member of a local archive; b'' where it cannot be read, None where it is elsewhere."""
    archive = (member_of(path) or (path,))[0]
    if is_remote(archive):
        return None
    try:
        if archive != path:
            return next(member_blocks(path, 2**63), b'')[:HEAD]
        with open(as_local(path), 'rb') as file:
            return file.read(HEAD)
    except (OSError, Unreadable):
        return b''


def _unpacked(source, entry):
    header = b''.join(source.blocks(entry.start, entry.start + HEADER))
    if header[:4] != b'PK\3\4':
        raise Unreadable('damaged: its header is not where the zip says')
    start = entry.start + HEADER + int.from_bytes(header[26:28], 'little') + int.from_bytes(header[28:30], 'little')
    info = zipfile.ZipInfo(entry.name)
    info.compress_type, info.compress_size, info.file_size, info.CRC = entry.method, entry.packed, entry.size, entry.mark
    try:
        with zipfile.ZipExtFile(_Part(source.blocks(start, start + entry.packed)), 'r', info) as file:
            while block := file.read(BLOCK):
                yield block
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise Unreadable(f'damaged, or packed in a way that is not known ({summary(error)})') from error


class _Part:
    """The file that zipfile reads from: blocks, one after the other."""

    def __init__(self, blocks):
        self._blocks, self._rest = blocks, b''

    def read(self, count):
        """At most `count` bytes, none at the end."""
        self._rest = self._rest or next(self._blocks, b'')
        part, self._rest = self._rest[:count], self._rest[count:]
        return part

    def close(self):
        """Nothing is held."""
