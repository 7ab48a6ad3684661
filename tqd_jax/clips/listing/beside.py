"""A folder, a list or one video as a table of clips, with the captions that lie there."""
import collections

import pyarrow as pa

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.opened import beside_inside, beside_named
from tqd_jax.clips.listing.embedded import PROTOCOL
from tqd_jax.clips.listing.folder import lists_of_folder, of_tables, read_tables
from tqd_jax.clips.listing.found import Found, joined
from tqd_jax.clips.listing.manifest_file import read_manifest
from tqd_jax.clips.listing.texts import one_type, repeated
from transfer_jax.runtime.errors import UserError


def of_folder(folder, source, flag, columns) -> Found:
    """The Found of a place that contents() lists, once. Raises UserError, which names `flag`, where it has no videos."""
    there = places.contents(folder)
    others = there.others + places.counted(there.rest)
    if not there.clips and not there.inside:
        if (found := _tables_with_videos(there.rest, source, columns)) is not None:
            return found
        seen = ', '.join(f'{count} {ending or "without an ending"}' for ending, count in sorted(others.items())) or 'no others'
        raise UserError(f'{flag}: no video files ({", ".join(places.ENDINGS)}) under {folder}; it has {seen}')
    clips = pa.array(there.clips, pa.string())
    lists, found = lists_of_folder(clips, there.rest, columns)
    if places.is_listed(folder) and not found.origins:  # a pattern of videos, which names no texts
        lists, more = beside_named(clips)
        found = found.replace(origins=more)
    inside, lines, origins = of_tables(pa.array(there.inside, pa.string()), list(read_tables(there.tables, columns)))
    beside, read = beside_inside(there.inside)
    inside = several.prefer(inside, beside)
    left = collections.Counter(others)
    left.subtract(found.others)
    captions = several.columns_of(pa.chunked_array([*lists.chunks, *inside.chunks], lists.type))
    return found.replace(table=_table([*there.clips, *there.inside], source, captions), others=dict(+left),
                         lines=(*found.lines, *lines),
                         origins=collections.Counter(found.origins) + collections.Counter(origins) + read)


def of_clips(clips, source) -> Found:
    """The Found of single videos: captions from the files beside them."""
    paths = pa.array([places.as_text(clip) for clip in clips], pa.string())
    lists, origins = beside_named(paths)
    return Found(table=_table(paths, source, several.columns_of(lists)), origins=origins)


def _tables_with_videos(files, source, columns) -> Found | None:
    """The Found of the Parquet files among `files` if they hold videos, else None: shards in the order of their names."""
    shards = sorted(name for name in files if places.ending(name) == '.parquet')
    found = []
    for shard in shards:
        one = read_manifest(shard, source, columns=columns)
        if not one.table['clip'][0].as_py().startswith(f'{PROTOCOL}://'):
            return None
        found.append(one)
    return joined(pa.concat_tables(one_type([one.table for one in found]), promote_options='permissive'), found) if found else None


def _table(clips, source, captions):
    return pa.table({'clip': clips, 'source': repeated(source, len(clips)), **captions})
