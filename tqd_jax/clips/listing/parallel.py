"""Two lists whose lines belong together: videos.txt has a clip a line, prompts.txt its caption."""
import posixpath

import pyarrow as pa

from tqd_jax.clips import places
from tqd_jax.clips.listing.files import read_lines
from tqd_jax.clips.tables import first_line
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

VIDEO_LISTS, CAPTION_LISTS = ('videos.txt', 'video.txt'), ('prompts.txt', 'prompt.txt', 'captions.txt', 'caption.txt')
MAX_BYTES = 2**33  # of a list that is fetched


def is_video_list(name) -> bool:
    """Whether a file is called like such a list of clips."""
    return _base(name) in VIDEO_LISTS


def is_caption_list(name) -> bool:
    """Whether a file is called like such a list of captions."""
    return _base(name) in CAPTION_LISTS


def prompts_of(videos, files) -> str | None:
    """The list of captions that belongs to a list of videos, of the files that lie there, or None."""
    there = {_base(name): name for name in files if places.parent(name) == places.parent(videos) and _base(name) in CAPTION_LISTS}
    return next((there[one] for one in CAPTION_LISTS if one in there), None)


def parallel(videos, captions) -> pa.Table:
    """The table of clip and caption of two lists, without lines that are blank in both.

    Raises UserError where one is longer or cannot be read, or a caption has no clip.
    """
    read = []
    for name in (videos, captions):
        try:
            with places.local_copy(name, MAX_BYTES) as local:
                read.append(read_lines(local))
        except (OSError, ValueError, places.BadClip) as error:
            raise UserError(f'{name} cannot be read: {first_line(error)}') from None
    if len(read[0]) != len(read[1]):
        raise UserError(f'{videos} has {counted(len(read[0]), "line")} and {captions} {len(read[1])}: line by line they are a clip '
                        'and its caption')
    pairs = [pair for pair in zip(*read, strict=True) if any(pair)]
    if lone := next((caption for name, caption in pairs if not name), None):
        raise UserError(f'{captions} has a caption, {lone[:60]!r}, in whose line {videos} has no clip: line by line they belong together')
    folder = places.parent(videos)
    clips = [places.as_text(places.join(folder, name)) for name, _ in pairs]
    return pa.table({'clip': pa.array(clips, pa.string()), 'caption': pa.array([caption for _, caption in pairs], pa.string())})


def _base(name):
    return posixpath.basename(name).lower()
