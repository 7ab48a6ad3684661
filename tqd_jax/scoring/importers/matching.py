"""Which row of a tool's table is of which clip: by whole paths, and of clips in archives by the names of their members."""
import os

import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips import places
from tqd_jax.clips.tables import pieces

MEMBER = r'^(?:tar|zip)://(?:.*/)?([^/]*?)::.*$'  # the file name in the path of a member


def matched_rows(clips: pa.Table, imports: pa.Table) -> pa.ChunkedArray:
    """For each of the clips the row of imports, or null.

    A clip in an archive has no path that a tool could have written, so it is matched by its file name, where one row alone has it.
    """
    rows = pc.index_in(whole_names(clips), value_set=whole_names(imports))
    inside = pc.match_substring_regex(clips['clip'], MEMBER)
    if not rows.null_count or not pc.any(inside).as_py():
        return rows
    names = pc.replace_substring_regex(imports['clip'], '^.*/', '')
    counted = pc.value_counts(names)
    once = counted.field('values').filter(pc.equal(counted.field('counts'), 1))
    member = pc.if_else(inside, pc.replace_substring_regex(clips['clip'], MEMBER, r'\1'), None)
    alone = pc.if_else(pc.is_in(member, value_set=once), member, None)
    return pc.coalesce(rows, pc.if_else(pc.is_valid(alone), pc.index_in(alone, value_set=names.combine_chunks()), None))


def whole_names(table):
    """The clips as absolute paths, or URLs, by which two tables' rows are one clip."""
    whole = lambda clip: clip if places.is_remote(clip) else os.path.abspath(places.as_local(clip))
    return pa.chunked_array([pa.array(map(whole, chunk.to_pylist()), pa.string()) for chunk in pieces(table['clip'])], pa.string())
