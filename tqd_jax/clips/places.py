"""Where clips are: what a folder, an archive or a URL has, a local file of each, and what tells that it changed.

How their paths are written says tqd_jax.clips.archives.urls.
"""
import contextlib
import os
import tempfile

import fsspec

from tqd_jax.clips.archives.find import contents, find_clips, is_listed
from tqd_jax.clips.archives.listing import ENDINGS, LOCKED, SERIES, counted
from tqd_jax.clips.archives.members import is_member, member_blocks
from tqd_jax.clips.archives.series import pictures_of, write_series
from tqd_jax.clips.archives.source import Unreadable, summary
from tqd_jax.clips.archives.stamps import stamp
from tqd_jax.clips.archives.urls import (
    as_local,
    as_text,
    check_protocols,
    ending,
    is_remote,
    join,
    member_of,
    parent,
    seen_from,
)
from tqd_jax.clips.bad_clip import BadClip

__all__ = ['BLOCK', 'ENDINGS', 'LOCKED', 'SERIES', 'BadClip', 'as_local', 'as_text', 'check_protocols', 'contents', 'counted', 'ending',
           'find_clips', 'is_listed', 'is_remote', 'join', 'local_copy', 'member_of', 'parent', 'seen_from', 'stamp']
BLOCK = 1 << 20  # bytes fetched at a time


@contextlib.contextmanager
def local_copy(path, max_bytes):
    """A context that gives a local path to what is at `path`: its own, or that of a temporary file, removed afterwards.

    Such a file is made of what is at a URL, of a member of an archive, and of a folder of numbered pictures. Raises BadClip where it cannot
    be fetched or is larger than max_bytes, and UserError where fsspec lacks a package for the URL.
    """
    local = as_local(path)
    if not is_remote(path) and (os.path.isfile(local) or not _pictures(path)):
        yield local
        return
    check_protocols([path])
    with tempfile.NamedTemporaryFile(prefix='clip-', suffix=ending(path)) as file:
        _fetch(path, file, max_bytes)
        file.flush()
        yield file.name


def _fetch(path, file, max_bytes):
    """Writes what is at a path to a file: its bytes, or a video of its pictures. Raises BadClip."""
    try:
        if is_member(path):
            file.writelines(member_blocks(path, max_bytes))
        elif ending(path) not in ENDINGS and (pictures := _pictures(path)):
            write_series(path, pictures, file, max_bytes)
        elif member_of(path):
            raise Unreadable('no such member of its archive', of_content=False)
        else:
            _fetch_file(path, file, max_bytes)
    except Unreadable as error:
        raise BadClip(str(error)) from (None if error.of_content else error)


def _pictures(path):
    """pictures_of; None too where the place cannot be listed."""
    try:
        return pictures_of(path)
    except Exception:  # every backend has exceptions of its own
        return None


def _fetch_file(url, file, max_bytes):
    try:
        system, path = fsspec.core.url_to_fs(url)
        with system.open(path, 'rb') as remote:
            while (block := remote.read(BLOCK)) and file.tell() <= max_bytes:
                file.write(block)
    except Exception as error:  # every backend has exceptions of its own
        raise BadClip(f'cannot be fetched ({summary(error)})') from error
    if file.tell() > max_bytes:
        raise BadClip(f'more than {max_bytes} bytes to fetch')
