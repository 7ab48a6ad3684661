"""A clip that is a folder of numbered pictures, or a pattern of their names, here, elsewhere or in an archive."""
from tqd_jax.clips.archives.find import files_below
from tqd_jax.clips.archives.frames import IMAGES, RATE, pack, series_of
from tqd_jax.clips.archives.members import read_member
from tqd_jax.clips.archives.patterns import is_pattern, matching, split_rate
from tqd_jax.clips.archives.source import Unreadable, source_of
from tqd_jax.clips.archives.urls import base, ending, join, member_of, parent


def pictures_of(path):
    """The paths of the pictures that the clip at `path` is, in order; None where it is no series.

    path: a folder, whose pictures must be numbered, or a pattern as frames/%05d.png or frames/*.png, whose names are sorted if not; with
    ?fps=12 at its end or without.
    """
    path, _ = split_rate(path)
    name = base(path)
    pattern = is_pattern(name) and ending(path) in IMAGES
    folder = parent(path) if pattern else path
    names = [one for one in files_below(folder) if ending(one) in IMAGES]
    chosen = matching(name, names) if pattern else names
    ordered = series_of(chosen) or (sorted(chosen) if pattern and len(chosen) > 1 else None)
    return ordered and [join(folder, one) for one in ordered]


def write_series(path, pictures, file, max_bytes):
    """Writes the pictures of the clip at `path` as one video to a named file, RATE a second or as it says. Raises Unreadable."""
    seconds = 1 / (split_rate(path)[1] or RATE)
    pack(_limited(map(_read, pictures), max_bytes), lambda number: seconds, file.name)


def _read(path):
    if member_of(path):
        return read_member(path)
    source = source_of(path)
    try:
        return source.system.cat_file(source.path)
    except Exception as error:  # every backend has exceptions of its own
        raise Unreadable(f'its picture {base(path)} cannot be read ({error})', of_content=False) from error


def _limited(blocks, max_bytes):
    count = 0
    for block in blocks:
        count += len(block)
        if count > max_bytes:
            raise Unreadable(f'more than {max_bytes} bytes to fetch')
        yield block
