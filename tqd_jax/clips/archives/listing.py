"""Which files of a folder or an archive are clips: videos by their ending, folders of numbered pictures, and what the others are."""
import collections
import itertools
import os

from tqd_jax.clips.archives.animated import EITHER, is_animated
from tqd_jax.clips.archives.frames import IMAGES, RATE, series_of
from tqd_jax.clips.archives.members import head_of
from tqd_jax.clips.archives.patterns import is_pattern
from tqd_jax.clips.archives.urls import as_local, base, ending, is_remote, member_of, parent
from tqd_jax.clips.captions import parse

ENDINGS = tuple('.mp4 .m4v .mov .qt .3gp .3g2 .f4v .mkv .webm .avi .divx .gif .mpg .mpeg .mpe .m1v .m2v .vob .ts .mts .m2ts .wmv .asf '
                '.flv .ogv .mxf .y4m .rm .rmvb .apng .h264 .264 .avc .h265 .265 .hevc .h266 .266 .vvc .av1 .obu .ivf .mjpeg .mjpg'.split())
COMPRESSED = ('.tgz', '.gz', '.bz2', '.xz', '.zst', '.tbz2', '.txz', '.7z', '.rar')
PACKED = ' (no member of it can be read by itself: unpack it, or make it a .tar or .zip)'
LOCKED = 'folders that cannot be read'
SERIES = f'clips of numbered pictures, taken as {RATE:g} a second (FOLDER?fps=12 says otherwise)'


def walk(folder):
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


def sort_out(paths, whole=lambda path: path):
    """(clips, the others) of paths of files here, elsewhere, or in an archive.

    whole: the path of what `paths` has. Clips are files with an ending of ENDINGS, folders whose pictures are one numbered series and that
    have no videos, and pictures that move. Of a file elsewhere that may be either, a .webp is taken for one that moves, for nobody asks
    for its first bytes.
    """
    clips, others, pictures = [], [], collections.defaultdict(list)
    for path in paths:
        kind = ending(path)
        if kind in IMAGES:
            pictures[parent(path)].append(path)
        else:
            (clips if kind in ENDINGS else others).append(path)
    beside = {parent(path) for path in clips} if pictures else set()
    for folder, files in pictures.items():
        moving = {path for path in files if _moves(whole(path))}
        if not moving and folder not in beside and series_of(list(map(base, files))):
            clips.append(folder)
        else:
            clips += moving
            others += (path for path in files if path not in moving)
    return clips, others


def counted(others):
    """{what files are that are no clips: how many}, by their ending."""
    kinds = collections.Counter(map(ending, others))
    said = {kind: f'{kind} (still pictures)' for kind in IMAGES} | {kind: f'{kind}{PACKED}' for kind in COMPRESSED}
    return collections.Counter({said.get(kind, kind): count for kind, count in kinds.items()})


def _moves(path):
    """Whether a picture is an animation, or a pattern that stands for many."""
    if is_pattern(base(path)) and not member_of(path) and not (os.path.lexists(as_local(path)) and not is_remote(path)):
        return True
    if ending(path) not in EITHER:
        return False
    head = head_of(path)
    return ending(path) == '.webp' if head is None else is_animated(head)


def unpaired(names):
    """The names of an archive, sorted, without the captions beside a video: those with its name up to the first dot."""
    for _, group in itertools.groupby(names, key=sample_of):
        group = list(group)
        paired = any(ending(name) in ENDINGS for name in group)
        yield from (name for name in group if not (paired and ending(name) in parse.ENDINGS))


def sample_of(name):
    """The sample that a member is of, as webdataset has it: its name up to the first dot of the last part."""
    folder, mark, last = name.rpartition('/')
    return f'{folder}{mark}{last.partition(".")[0]}'
