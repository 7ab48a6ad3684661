"""What tells that a file has changed, without reading it: of local files, URLs, members of archives, and folders of pictures."""
import contextlib
import functools
import hashlib
import os
import time

import fsspec

from tqd_jax.clips.archives.patterns import is_pattern, split_rate
from tqd_jax.clips.archives.urls import as_local, is_remote, member_of

PERIOD = 60.0  # s for which the stamp of an archive elsewhere is not asked for again: it is asked for with each of its members


def stamp(path):
    """A text that changes with what is at a path or URL, as far as the place tells; '' where it cannot be asked."""
    with contextlib.suppress(Exception):  # every backend has exceptions of its own
        if member := member_of(path):
            return _of_member(*member)
        return _of_url(path) if is_remote(path) else _of_local(as_local(path))
    return ''


def index_at(archive, kind):
    """The Index of an archive at a path. Raises Unreadable."""
    from tqd_jax.clips.archives.index import index_of  # pyarrow, 45 MB of a process that opens no archive
    known = _for_a_while(archive, int(time.monotonic() / PERIOD)) if is_remote(archive) else stamp(archive)
    place = archive if is_remote(archive) else os.path.abspath(as_local(archive))
    return index_of(place, kind, known)


@functools.lru_cache(1024)
def _for_a_while(archive, period):
    return stamp(archive)


def _of_member(archive, kind, name):
    """By the index alone, which is of the archive's own stamp: two openings of one archive have one stamp."""
    index = index_at(archive, kind)
    entry = index.entry(name)
    return f'{index.stamp} {entry.start} {entry.size} {entry.mark}' if entry else f'{index.stamp} {name}'


def _of_url(url):
    """What the place tells: fsspec's own key, and of a web address, whose key is the address, its size and tag."""
    system, path = fsspec.core.url_to_fs(url)
    if 'http' not in system.protocol:
        return system.ukey(path)
    info = system.info(path)
    return ' '.join(str(info.get(key)) for key in ('name', 'size', 'ETag', 'Content-MD5', 'Digest'))


def _of_local(path):
    path, _ = (path, None) if os.path.lexists(path) else split_rate(path)
    path = (os.path.dirname(path) or '.') if is_pattern(os.path.basename(path)) and not os.path.lexists(path) else path
    status = os.stat(path)
    if not os.path.isdir(path):
        return f'{status.st_size} {status.st_mtime_ns}'
    with os.scandir(path) as files:
        parts = sorted(f'{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}' for file in files)
    return hashlib.sha256('\n'.join(parts).encode('utf-8', 'surrogateescape')).hexdigest()
