"""A folder, a list or one video as a table of clips, with the captions that lie there."""
import collections

import pyarrow as pa

from tqd_jax.clips import places
from tqd_jax.clips.captions import several
from tqd_jax.clips.captions.opened import beside_local
from tqd_jax.clips.listing.embedded_folder import tables_with_videos
from tqd_jax.clips.listing.folder import captions_of_folder
from tqd_jax.clips.listing.found import Found
from tqd_jax.clips.listing.texts import repeated
from transfer_jax.runtime.errors import UserError


def of_folder(folder, source, flag, columns) -> Found:
    """The Found of a folder, whose files are listed once. Raises UserError, which names `flag`, where it has no videos."""
    files, others = places.find_files(folder)
    clips = sorted(places.as_text(path) for path in files if places.ending(path) in places.ENDINGS)
    rest = [path for path in files if places.ending(path) not in places.ENDINGS]
    others.update(places.ending(path) for path in rest)
    if not clips:
        if (found := tables_with_videos(rest, source, columns)) is not None:
            return found
        seen = ', '.join(f'{count} {ending or "without an ending"}' for ending, count in sorted(others.items())) or 'no others'
        raise UserError(f'{flag}: no video files ({", ".join(places.ENDINGS)}) under {folder}; it has {seen}')
    captions, found = captions_of_folder(pa.array(clips, pa.string()), rest, columns)
    left = collections.Counter(others)
    left.subtract(found.others)
    return found.replace(table=_table(clips, source, captions), others=dict(+left))


def of_clips(clips, source) -> Found:
    """The Found of single videos: captions of local ones from the files beside them."""
    paths = pa.array([places.as_text(clip) for clip in clips], pa.string())
    lists, origins = beside_local(paths)
    return Found(table=_table(paths, source, several.columns_of(lists)), origins=origins)


def _table(clips, source, captions):
    return pa.table({'clip': clips, 'source': repeated(source, len(clips)), **captions})
