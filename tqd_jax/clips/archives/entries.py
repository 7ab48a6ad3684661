"""What an archive says of its members: the headers of a tar, the central directory of a zip."""
import collections
import contextlib
import posixpath
import tarfile
import typing
import zipfile
import zlib

from tqd_jax.clips.archives.source import Unreadable
from tqd_jax.clips.captions.parse import ENDINGS

STORED = -1  # the method of a member whose bytes lie in the archive as they are, at `start`
MAX_TEXT = 1 << 16  # bytes of a text that is kept
COMPRESSED = {b'\x1f\x8b': 'gzip', b'BZh': 'bzip2', b'\xfd7zXZ': 'xz', b'\x28\xb5\x2f\xfd': 'zstd'}


class Entry(typing.NamedTuple):
    """A member: its name, as text; the offset of its bytes (of a zip: of its header); how many, and packed; how they are packed; a number
    that changes with them; and the bytes of a small text."""
    name: str
    start: int
    size: int
    packed: int
    method: int
    mark: int
    text: bytes | None = None


class Faults:
    """What of an archive is no member: {kind: how many}, and the first of each."""

    def __init__(self):
        self.counts, self.first = collections.Counter(), {}

    def add(self, kind, name):
        """Counts one."""
        self.counts[kind] += 1
        self.first.setdefault(kind, name)


def name_of(raw, faults):
    """A member's name as a path seen from the archive, as tar and unzip make it; None where it has none, which is counted."""
    parts = [part for part in raw.split('/') if part not in ('', '.')]
    name = '/'.join(parts)
    if '..' in parts or '::' in name or '\0' in name:
        faults.add('members with names that lead out of the archive, or have ::', raw)
        return None
    if any(part.startswith('.') for part in parts) or parts[:1] == ['__MACOSX']:
        faults.add('hidden members (a dot before the name, __MACOSX)', raw)
        return None
    return name


def tar_entries(file, faults):
    """The Entry of every file of an open tar; of its links those that lead to one. Raises Unreadable where it is none at all."""
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(8)
    if not head or (packer := next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), None)):
        raise Unreadable('an empty file' if not head else
                         f'compressed as a whole by {packer}, so no member can be read by itself: unpack it to a .tar')
    file.seek(0)
    try:
        tar = tarfile.TarFile(fileobj=file, encoding='utf-8', errors='surrogateescape')
        while (member := _next(tar, faults)) is not None:
            if (member.isreg() or member.islnk() or member.issym()) and (name := name_of(_text(member.name), faults)) is not None:
                yield _of_tar(file, member, name, end, faults)
            tar.members.clear()  # else it holds every header
    except tarfile.TarError as error:
        raise Unreadable(f'no tar file ({error})') from error
    _check_end(file, tar.offset, end, faults)


def _next(tar, faults):
    try:
        return tar.next()
    except (tarfile.ReadError, ValueError, OverflowError) as error:
        faults.add(f'archives that are cut off or damaged ({error})', '')
        return None


def _of_tar(file, member, name, end, faults):
    """(Entry | the (name, target) of a link | None)."""
    if member.islnk() or member.issym():
        folder = '' if member.islnk() else posixpath.dirname(name)
        return name, posixpath.normpath(posixpath.join(folder, _text(member.linkname)))
    if member.issparse():
        faults.add('sparse members', name)
        return None
    text = None
    if _is_sidecar(name, member.size) and member.offset_data + member.size <= end:
        file.seek(member.offset_data)
        text = file.read(member.size)
    return Entry(name, member.offset_data, member.size, member.size, STORED, int(member.mtime), text)


def _check_end(file, offset, end, faults):
    """Counts an archive that goes on where tar ended: a damaged header, or another archive behind the first."""
    file.seek(min(offset, end))
    rest = file.read(1 << 16).lstrip(b'\0')
    if rest:
        faults.add('archives of which only the part before a damaged header, or before a second archive, was read', '')


def zip_entries(file, faults):
    """The Entry of every file of an open zip. Raises Unreadable where it has no directory, as one that is cut off."""
    try:
        packed = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        raise Unreadable(f'no zip file, or cut off ({error})') from error
    for info in packed.infolist():
        name = None if info.is_dir() else name_of(_zip_name(info), faults)
        if name is None:
            continue
        if info.flag_bits & 1:
            faults.add('encrypted members', name)
            continue
        text = _zip_text(packed, info, name)
        yield Entry(name, info.header_offset, info.file_size, info.compress_size, info.compress_type, info.CRC, text)


def _zip_text(packed, info, name):
    """The bytes of a caption; None of another member, and of one that is damaged, which reading it will say."""
    if _is_sidecar(name, info.file_size):
        with contextlib.suppress(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
            return packed.read(info)
    return None


def _is_sidecar(name, size):
    return posixpath.splitext(name)[1].lower() in ENDINGS and size <= MAX_TEXT


def _zip_name(info):
    """A name that is said to be of code page 437 is UTF-8 where it can be: most programs that write it say nothing."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode('cp437').decode()
    except UnicodeError:
        return info.filename


def _text(name):
    """A name that is not UTF-8 is read as Latin-1, so that it is text."""
    try:
        name.encode()
        return name
    except UnicodeEncodeError:
        return name.encode('utf-8', 'surrogateescape').decode('latin-1')
