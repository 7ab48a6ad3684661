"""The clips at a place: a folder, an archive, a pattern of such; and what else is there."""
import collections
import concurrent.futures
import functools
import glob
import itertools
import os
import posixpath
import re

import fsspec

from tqd_jax.clips.archives.animated import EITHER
from tqd_jax.clips.archives.frames import IMAGES
from tqd_jax.clips.archives.listing import ENDINGS, SERIES, sort_out, unpaired, walk
from tqd_jax.clips.archives.patterns import braces, has_braces, is_pattern, matching, split_rate
from tqd_jax.clips.archives.source import Unreadable, summary
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

PACKED = ('.tgz', '.gz', '.bz2', '.xz', '.zst', '.tbz2', '.txz', '.7z', '.rar')  # no member of which can be read by itself
AT_ONCE = 16  # archives elsewhere whose headers are read at a time


def find_clips(place):
    """The clips at a place, as text and sorted, and {what other files are, by their ending or in words: how many}.

    place: a folder, an archive (.tar, .zip), a folder within one (tar://FOLDER::ARCHIVE), or a pattern of such and of videos, in braces
    or with * and ?. Archives under a folder are looked into. Links to folders are followed, each real folder once; names that start with a
    dot are left out. ?fps=12 at its end is the rate of the clips that are numbered pictures. Local folders that cannot be read are counted
    under LOCKED, clips of numbered pictures whose rate nobody says under SERIES. Raises UserError where a place cannot be listed.
    """
    place, rate = _without_rate(place)
    files, others = find_files(place)
    archives = {path for path in files if _is_archive(path)}
    clips, more = sort_out(path for path in files if path not in archives)
    inside, within = clips_in_archives(sorted(archives), alone=archives == {place})
    if rate is None and (count := sum(not _is_file(clip) for clip in itertools.chain(clips, inside))):
        others[SERIES] = count
    clips, inside = _with_rate(clips, rate), _with_rate(inside, rate)
    others.update(more)
    others.update(within)
    for kind in [kind for kind in others if kind in PACKED]:
        others[f'{kind} (no member of it can be read by itself: unpack it, or make it a .tar or .zip)'] = others.pop(kind)
    return [*sorted(map(as_text, clips)), *inside], dict(others)


def find_files(place):
    """(all files at a place as find_clips has it, an archive as one of them; a Counter of what cannot be listed)."""
    files, others = [], collections.Counter()
    for part in _expanded(place):
        found, more = _files(part)
        files += found
        others.update(more)
    return files, others


def clips_in_archives(archives, alone=False):
    """(the clips in archives, or folders of one, archive by archive and sorted; a Counter of what else they have).

    Captions beside a clip, which captions.py reads, are no part of the count. alone: the user named this one archive; then UserError is
    raised where it cannot be read, which is counted else.
    """
    clips, others, faults = [], collections.Counter(), {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE if any(map(is_remote, archives)) else 1) as pool:  # each waits for its headers
        for found, more, wrong in pool.map(functools.partial(_members, alone=alone), archives):
            clips += found
            others.update(more)
            for kind, (count, first) in wrong.items():
                faults.setdefault(kind, [0, first])[0] += count
    others.update({f'{kind} (the first: {first})': count for kind, (count, first) in faults.items()})
    return clips, others


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


def _members(path, alone):
    """(the clips in an archive or a folder of it, a count of its other files, {kind: (how many, the first)} of its faults)."""
    archive, kind, within = member_of(path) or (path, ending(path), '')
    check_protocols([path])
    archive = archive if is_remote(archive) else as_text(os.path.abspath(as_local(archive)))
    try:
        index = index_at(archive, kind)
    except Unreadable as error:
        if alone:
            raise UserError(f'{path} cannot be listed: {error}') from error
        return [], {}, {f'{kind} that cannot be read ({error})': (1, archive)}
    faults = {fault: (count, member_url(archive, kind, first) if first else archive) for fault, (count, first) in index.faults.items()}
    inside = within and f'{within}/'
    names = unpaired(name for name in index.names() if name.startswith(inside))
    url = functools.partial(member_url, archive, kind)
    clips, others = sort_out(names, url)
    return [url(name) for name in sorted(clips)], others, faults
