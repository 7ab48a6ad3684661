"""Paths of clips: local ones and, by fsspec, URLs (gs://, s3://, https://, zip://a.mp4::clips.zip ...), all of them text.

A local path is a str, or its file:// URI (RFC 8089): so names that are not UTF-8 are written, since Parquet and JSON take no such text.
"""
import collections
import contextlib
import os
import pathlib
import posixpath
import re
import tempfile
import urllib.parse

import fsspec

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home

ENDINGS = tuple('.mp4 .m4v .mov .qt .3gp .3g2 .f4v .mkv .webm .avi .divx .gif .mpg .mpeg .mpe .m1v .m2v .vob .ts .mts .m2ts .wmv .asf '
                '.flv .ogv .mxf .y4m .rm .rmvb'.split())
LOCKED = 'folders that cannot be read'
BLOCK = 1 << 20  # bytes fetched at a time
URL = re.compile(r'((?:[\w.+-]+::)*)([\w.+-]+)://(.*?)(::.*)?', re.DOTALL)  # what is chained before, protocol, path, what it lies in


class BadClip(Exception):
    """One clip cannot be used; the message is the reason, on one line."""


def is_remote(path):
    """Whether a path is a URL that fsspec opens; a file:// URI is local."""
    return bool(URL.fullmatch(path)) and not path.startswith('file://')


def as_text(path):
    """A path that every writer takes: the path itself, or the file:// URI of a local one whose name is not UTF-8. Undone by as_local."""
    try:
        path.encode()
        return path
    except UnicodeEncodeError:
        return pathlib.Path(path).absolute().as_uri()


def as_local(path):
    """The path to open of a local one, which may be a file:// URI."""
    if not path.startswith('file://'):
        return path
    return os.fsdecode(urllib.parse.unquote_to_bytes(path.removeprefix('file://').removeprefix('localhost')))


def ending(path):
    """The ending of a path's or URL's last name, in lower case: '.mp4'."""
    return posixpath.splitext(_split(path)[2])[1].lower()


def parent(path):
    """The folder that a path or URL lies in."""
    before, opening, inner, after = _split(path)
    return f'{before}{opening}{posixpath.dirname(inner)}{after}'


def join(base, name):
    """`name` as seen from the folder `base`; an absolute path, one in a home folder (~/) or a URL stands for itself."""
    if URL.fullmatch(name) or os.path.isabs(name):
        return name
    if name.startswith(('~/', '$HOME/', '${HOME}/')) and not is_remote(base):
        return at_home(name)
    before, opening, inner, after = _split(as_local(base))
    joined = posixpath.join(inner, name)
    if not opening:
        return str(pathlib.Path(joined)) if re.search('(^|/)[.]?/', joined[1:]) else joined  # pathlib only where it must: it is slow
    return f'{before}{opening}{posixpath.normpath(joined) if {".", ".."} & set(name.split("/")) else joined}{after}'


def seen_from(folder, path):
    """The inverse of join: a relative local path as seen from a local folder; URLs and absolute paths stand for themselves.

    From a remote folder a local path is seen as an absolute one. '..' leads out of a folder itself, not out of a link to it: so where it
    takes one, links are resolved first.
    """
    if URL.fullmatch(path) or os.path.isabs(path):
        return path
    if is_remote(folder):
        return os.path.abspath(path)
    below = os.path.relpath(path, folder or '.')
    if '..' not in f'{folder}/{path}/{below}'.split('/'):
        return f'./{below}' if below.startswith(('~', '$')) else below  # no home folder
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # a clip that is a link keeps its name
    return os.path.relpath(real, os.path.realpath(folder or '.'))


def find_clips(folder):
    """The video files under a folder, as text and sorted, and {ending: how many files are none by their ending}.

    Links to folders are followed, each real folder once; names that start with a dot are left out. Local folders that cannot be read are
    counted under LOCKED. Raises UserError where a remote folder cannot be listed.
    """
    paths, others = _list_remote(folder) if is_remote(folder) else _walk(as_local(folder))
    others.update(ending(path) for path in paths if ending(path) not in ENDINGS)
    return sorted(as_text(path) for path in paths if ending(path) in ENDINGS), dict(others)


@contextlib.contextmanager
def local_copy(path, max_bytes):
    """A context that gives a local path to what is at `path`: its own, or for a URL that of a temporary file, removed afterwards.

    Raises BadClip where it cannot be fetched or is larger than max_bytes, and UserError where fsspec lacks a package for the URL.
    """
    if not is_remote(path):
        yield as_local(path)
        return
    with tempfile.NamedTemporaryFile(prefix='clip-', suffix=ending(path)) as file:
        _fetch(path, file, max_bytes)
        file.flush()
        yield file.name


def stamp(url):
    """A text that changes with what is at a URL, as far as the place tells; '' where it cannot be asked."""
    with contextlib.suppress(Exception):  # every backend has exceptions of its own
        system, path = fsspec.core.url_to_fs(url)
        return system.ukey(path)
    return ''


def check_protocols(paths):
    """Raises UserError where fsspec does not know the protocol of one of the paths, or lacks a package for it."""
    names = {part.partition('://')[0]: path for path in paths if is_remote(path) for part in path.split('::') if '://' in part}
    for name, path in sorted(names.items()):
        try:
            fsspec.get_filesystem_class(name)
        except (ImportError, ValueError) as error:  # the text names the package
            raise UserError(f'{path} cannot be opened: {error}') from error


def _split(path):
    """A URL's (what is chained before, protocol://, path, what it lies in), without a web address's query; a local path is all path."""
    url = URL.fullmatch(path)
    if not url:
        return '', '', path, ''
    before, protocol, inner, after = url.groups(default='')
    return before, f'{protocol}://', re.sub(r'[?#].*', '', inner) if protocol in ('http', 'https') else inner, after


def _walk(folder):
    """The files under a local folder, and a count of what cannot be read. Links come last: what is also there itself keeps its name."""
    seen, files, locked, tops = set(), [], [], [folder]
    while tops:
        links = []
        for place, folders, names in (step for top in sorted(tops) for step in os.walk(top, onerror=locked.append)):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            linked = {name for name in folders if os.path.islink(os.path.join(place, name))}
            links += [os.path.join(place, name) for name in linked if not name.startswith('.')]
            folders[:] = [name for name in folders if name not in linked and not name.startswith('.')]
            files += [os.path.join(place, name) for name in names if not name.startswith('.')]
        tops = links
    return files, collections.Counter({LOCKED: len(locked)} if locked else {})


def _list_remote(folder):
    """The files under a remote folder."""
    check_protocols([folder])
    try:
        system, root = fsspec.core.url_to_fs(folder)
        inside = [path.removeprefix(root).lstrip('/') for path in system.find(root)]
    except Exception as error:  # every backend has exceptions of its own
        raise UserError(f'{folder} cannot be listed: {_summary(error)}') from error
    return [join(folder, name) for name in inside if name and not re.search(r'(^|/)\.|/$', name)], collections.Counter()


def _fetch(url, file, max_bytes):
    check_protocols([url])
    try:
        system, path = fsspec.core.url_to_fs(url)
        with system.open(path, 'rb') as remote:
            while (block := remote.read(BLOCK)) and file.tell() <= max_bytes:
                file.write(block)
    except Exception as error:  # every backend has exceptions of its own
        raise BadClip(f'cannot be fetched ({_summary(error)})') from error
    if file.tell() > max_bytes:
        raise BadClip(f'more than {max_bytes} bytes to fetch')


def _summary(error):
    """An exception's kind and the beginning of its first line: some say only a name, some the whole answer of a server."""
    return ': '.join([type(error).__name__, *(line[:200] for line in str(error).splitlines()[:1])])
