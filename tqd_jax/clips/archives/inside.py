"""What archives have for a library: clips, and the texts beside them, which may be their captions."""
import collections
import concurrent.futures
import functools
import itertools
import os

from tqd_jax.clips.archives.listing import counted, sort_out, unpaired
from tqd_jax.clips.archives.members import member_blocks
from tqd_jax.clips.archives.source import Unreadable
from tqd_jax.clips.archives.stamps import index_at
from tqd_jax.clips.archives.urls import as_local, as_text, check_protocols, ending, is_remote, member_of, member_url
from tqd_jax.clips.captions.parse import LARGEST
from tqd_jax.clips.listing.names import is_table
from transfer_jax.runtime.errors import UserError

AT_ONCE = 16  # archives elsewhere whose headers are read at a time


def clips_in_archives(archives, alone=False):
    """(the clips in archives, or folders of one, archive by archive and sorted; their tables of captions; a Counter of what else is there).

    Texts beside a clip, which texts_by_archive has, are no part of the count. alone: the user named this one archive; then UserError is
    raised where it cannot be read, which is counted else.
    """
    clips, tables, others, faults = [], [], collections.Counter(), {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE if any(map(is_remote, archives)) else 1) as pool:  # each waits for its headers
        for found, listed, more, wrong in pool.map(functools.partial(_members, alone=alone), archives):
            clips += found
            tables += listed
            others.update(more)
            for kind, (count, first) in wrong.items():
                faults.setdefault(kind, [0, first])[0] += count
    others.update({f'{kind} (the first: {first})': count for kind, (count, first) in faults.items()})
    return clips, tables, others


def texts_by_archive(clips):
    """An iterator of what lies beside clips in archives, archive by archive as Contents.inside has them.

    Each is (the names of an archive's clips, the names of its texts as an Arrow array, a function: names of texts -> their bytes). Names
    are those within the archive; texts are the members whose names end as those of captions do.
    """
    for (archive, kind), group in itertools.groupby(map(member_of, clips), key=lambda member: member[:2]):
        index = index_at(archive, kind)
        yield [name for _, _, name in group], index.texts(), functools.partial(_texts, archive, kind)


def _texts(archive, kind, names):
    """The bytes of members that hold texts, of each the first that are read of a file; what went wrong where there are none."""
    index = index_at(archive, kind)
    return [text if (text := index.entry(name).text) is not None else _long_text(member_url(archive, kind, name)) for name in names]


def _long_text(url):
    try:
        return b''.join(member_blocks(url, 64 * LARGEST))[:LARGEST]
    except Unreadable as error:
        return error


def _members(path, alone):
    """(clips of an archive or a folder of it, its tables of captions, a count of the others, {kind: (how many, the first)} of faults)."""
    archive, kind, within = member_of(path) or (path, ending(path), '')
    check_protocols([path])
    archive = archive if is_remote(archive) else as_text(os.path.abspath(as_local(archive)))
    try:
        index = index_at(archive, kind)
    except Unreadable as error:
        if alone:
            raise UserError(f'{path} cannot be listed: {error}') from error
        return [], [], {}, {f'{kind} that cannot be read ({error})': (1, archive)}
    faults = {fault: (count, member_url(archive, kind, first) if first else archive) for fault, (count, first) in index.faults.items()}
    inside = within and f'{within}/'
    names = unpaired(name for name in index.names() if name.startswith(inside))
    url = functools.partial(member_url, archive, kind)
    clips, others = sort_out(names, url)
    tables = sorted(filter(is_table, others), key=lambda name: (-name.count('/'), name))
    rest = counted(name for name in others if not is_table(name))
    return [url(name) for name in sorted(clips)], [url(name) for name in tables], rest, faults
