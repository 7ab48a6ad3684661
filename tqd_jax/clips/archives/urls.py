"""How paths of clips are written: local ones and, by fsspec, URLs (gs://, s3://, https://, tar://a.mp4::clips.tar ...), all of them text.

A local path is a str, or its file:// URI (RFC 8089): so names that are not UTF-8 are written, since Parquet and JSON take no such text.
"""
import os
import pathlib
import posixpath
import re
import urllib.parse

import fsspec

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.folder.home import at_home

ARCHIVES = ('.tar', '.zip')  # what is looked into; tar:// and zip:// are the protocols of their members
URL = re.compile(r'((?:[\w.+-]+::)*)([\w.+-]+)://(.*?)(::.*)?', re.DOTALL)  # what is chained before, protocol, path, what it lies in


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


def base(path):
    """The last name of a path or URL."""
    return posixpath.basename(_split(path)[2])


def join(base, name):
    """`name` as seen from the folder `base`; an absolute path, one in a home folder (~/) or a URL stands for itself.

    Of a member it is the archive that is seen from there.
    """
    if (member := member_of(name)) and not _is_whole(member[0]):
        return member_url(join(base, member[0]), *member[1:])
    if _is_whole(name):
        return name
    if name.startswith(('~/', '$HOME/', '${HOME}/')) and not is_remote(base):
        return at_home(name)
    before, opening, inner, after = _split(as_local(base))
    joined = posixpath.join(inner, name)
    if not opening:
        return str(pathlib.Path(joined)) if re.search('(^|/)[.]?/', joined[1:]) else joined  # pathlib only where it must: it is slow
    return f'{before}{opening}{posixpath.normpath(joined) if {".", ".."} & set(name.split("/")) else joined}{after}'


def seen_from(folder, path):
    """The inverse of join: a relative local path, a member's archive too, as seen from a local folder; others stand for themselves.

    From a remote folder a local path is seen as an absolute one. '..' leads out of a folder itself, not out of a link to it: so where it
    takes one, links are resolved first.
    """
    if (member := member_of(path)) and not _is_whole(member[0]):
        return member_url(seen_from(folder, member[0]), *member[1:])
    if _is_whole(path):
        return path
    if is_remote(folder):
        return os.path.abspath(path)
    below = os.path.relpath(path, folder or '.')
    if '..' not in f'{folder}/{path}/{below}'.split('/'):
        return f'./{below}' if below.startswith(('~', '$')) else below  # no home folder
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # a clip that is a link keeps its name
    return os.path.relpath(real, os.path.realpath(folder or '.'))


def member_of(path):
    """(archive, its kind of ARCHIVES, name) of a path within an archive, as tar://a/b.mp4::/x/shard.tar is; None of any other path."""
    before, opening, inner, after = _split(path)
    kind = f'.{opening.removesuffix("://")}'
    return (after[2:], kind, inner.strip('/')) if after and not before and kind in ARCHIVES else None


def member_url(archive, kind, name):
    """The path of a member of an archive: the inverse of member_of."""
    return f'{kind[1:]}://{name}::{archive}'


def check_protocols(paths):
    """Raises UserError where fsspec does not know the protocol of one of the paths, or lacks a package for it."""
    names = {part.partition('://')[0]: path for path in paths if is_remote(path) for part in path.split('::') if '://' in part}
    for name, path in sorted(names.items()):
        try:
            fsspec.get_filesystem_class(name)
        except (ImportError, ValueError) as error:  # the text names the package
            raise UserError(f'{path} cannot be opened: {error}') from error


def _is_whole(path):
    return bool(URL.fullmatch(path)) or os.path.isabs(path)


def _split(path):
    """A URL's (what is chained before, protocol://, path, what it lies in), without a web address's query; a local path is all path."""
    url = URL.fullmatch(path) if '://' in path else None
    if not url:
        return '', '', path, ''
    before, protocol, inner, after = url.groups(default='')
    return before, f'{protocol}://', re.sub(r'[?#].*', '', inner) if protocol in ('http', 'https') else inner, after
