"""The clips at a place: a folder, an archive, a pattern of such; and what else is there."""
import collections
import dataclasses
import glob
import itertools
import os
import posixpath
import re

import fsspec

from tqd_jax.clips.archives.animated import EITHER
from tqd_jax.clips.archives.frames import IMAGES
from tqd_jax.clips.archives.inside import clips_in_archives
from tqd_jax.clips.archives.listing import ENDINGS, SERIES, counted, sort_out, walk
from tqd_jax.clips.archives.patterns import braces, has_braces, is_pattern, matching, split_rate
from tqd_jax.clips.archives.source import summary
from tqd_jax.clips.archives.stamps import index_at
from tqd_jax.clips.archives.urls import (
    ARCHIVES,
    as_local,
    as_text,
    base,
    check_protocols,
    ending,
    is_remote,
    join,
    member_of,
    member_url,
    parent,
)
from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """What is at a place: paths, as text. clips: those that lie in no archive, sorted; inside: those in archives, archive by archive;
    tables: their tables of captions.

    rest: the other files, but for those in archives. others: {what it is, by its ending or in words: how many} of what is in none of these,
    and of what cannot be read.
    """
    clips: list
    inside: list
    tables: list
    rest: list
    others: collections.Counter


def find_clips(place):
    """All clips of contents(place), and {what other files are, by their ending or in words: how many}."""
    found = contents(place)
    return [*found.clips, *found.inside], dict(found.others + counted(found.rest + found.tables))


def contents(place) -> Contents:
    """The Contents of a place.

    place: a folder, an archive (.tar, .zip), a folder within one (tar://FOLDER::ARCHIVE), or a pattern of such and of videos, in braces
    or with * and ?. Archives under a folder are looked into. Links to folders are followed, each real folder once; names that start with a
    dot are left out. ?fps=12 at its end is the rate of the clips that are numbered pictures. Local folders that cannot be read are counted
    under LOCKED, clips of numbered pictures whose rate nobody says under SERIES. Raises UserError where a place cannot be listed.
    """
    place, rate = _without_rate(place)
    files, others = [], collections.Counter()
    for part in _expanded(place):
        found, more = _files(part)
        files += found
        others.update(more)
    archives = {path for path in files if _is_archive(path)}
    clips, rest = sort_out(path for path in files if path not in archives)
    inside, tables, more = clips_in_archives(sorted(archives), alone=archives == {place})
    others.update(more)
    if rate is None and (count := sum(not _is_file(clip) for clip in itertools.chain(clips, inside))):
        others[SERIES] = count
    clips, inside = _with_rate(clips, rate), _with_rate(inside, rate)
    return Contents(clips=sorted(map(as_text, clips)), inside=inside, tables=tables, rest=rest, others=others)


def is_listed(path):
    """Whether find_clips says which clips a path means that is no folder: an archive, a pattern, or a picture that may move."""
    path, rate = _without_rate(path)
    return rate is not None or _is_archive(path) or _is_pattern(path) or ending(path) in EITHER


def files_below(folder):
    """The names of the files right in a folder: here, elsewhere, or in an archive; none where it is no folder."""
    if member := member_of(folder):
        archive, kind, name = member
        inside = name and f'{name}/'
        names = (entry.name[len(inside):] for entry in index_at(archive, kind).below(inside))
        return [name for name in names if '/' not in name]
    if is_remote(folder):
        system, root = fsspec.core.url_to_fs(folder)
        return [posixpath.basename(one['name']) for one in system.ls(root, detail=True) if one['type'] == 'file']
    local = as_local(folder) or '.'
    return os.listdir(local) if os.path.isdir(local) else []


def _without_rate(place):
    """split_rate, but for a local file that is called so."""
    return split_rate(place) if is_remote(place) or not os.path.lexists(as_local(place)) else (place, None)


def _with_rate(clips, rate):
    """The clips, those that are numbered pictures with their rate where the user says one."""
    return clips if rate is None else [clip if _is_file(clip) else _marked(clip, f'?fps={rate:g}') for clip in clips]


def _is_file(clip):
    return ending(clip) in ENDINGS or (ending(clip) in EITHER and not is_pattern(base(clip)))


def _marked(clip, mark):
    member = member_of(clip)
    return member_url(*member[:2], f'{member[2]}{mark}') if member else f'{clip}{mark}'


def _is_archive(path):
    """Whether a path is of an archive, or of a folder in one."""
    if member_of(path):
        return ending(path) not in ENDINGS and not posixpath.splitext(member_of(path)[2])[1]
    return ending(path) in ARCHIVES and (is_remote(path) or not os.path.isdir(as_local(path)))


def _is_pattern(path):
    """Whether a path stands for others; what is there itself never does."""
    if not is_remote(path) and os.path.lexists(as_local(path)):
        return False
    return has_braces(path) or _is_series(path) or (is_pattern(path) if not is_remote(path) else '*' in path)


def _is_series(path):
    return ending(path) in IMAGES and is_pattern(base(path))


def _expanded(place):
    """The places that a pattern stands for."""
    if not _is_pattern(place):
        return [place]
    try:
        return [one for text in braces(place) for one in _globbed(text)]
    except ValueError as error:
        raise UserError(f'{place}: {error}') from None


def _globbed(text):
    """The paths that a glob stands for; one of pictures is one path for each folder."""
    if _is_series(text):
        folders = _globbed(parent(text))
        name = base(text)
        found = [join(folder, name) for folder in folders if matching(name, files_below(folder))]
        if not found:
            raise UserError(f'no pictures are at {text}')
        return found
    if not is_remote(text):
        return glob.glob(as_local(text), recursive=True) if is_pattern(text) and not os.path.lexists(text) else [text]
    if '*' not in text:
        return [text]
    top = parent(text[:text.index('*')] + '_')
    return [join(top, name) for name in _names_below(top, lambda system, root: system.glob(f'{root}{text[len(top):]}'))]


def _files(place):
    """(the files at a place, or itself where it is a file, a pattern of pictures or an archive; a count of what else is there)."""
    if _is_archive(place) or _is_series(place):
        return [place], {}
    if not is_remote(place):
        local = as_local(place)
        return walk(local) if os.path.isdir(local) or not os.path.lexists(local) else ([local], {})
    if ending(place) in ENDINGS:
        return [place], {}
    names = _names_below(place, lambda system, root: system.find(root))
    return [join(place, name) for name in names if name and not re.search(r'(^|/)\.|/$', name)], {}


def _names_below(folder, ask):
    """The names, seen from a remote folder, of the paths that ask(its file system, its path there) gives."""
    check_protocols([folder])
    try:
        system, root = fsspec.core.url_to_fs(folder)
        return [path.removeprefix(root).lstrip('/') for path in ask(system, root)]
    except Exception as error:  # every backend has exceptions of its own
        raise UserError(f'{folder} cannot be listed: {summary(error)}') from error
