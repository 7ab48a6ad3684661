"""Copies of a clip whose scores must fall, rise or stay, for benchmarks.scoring to compare.

The contract: a Kind (benchmarks/scoring/kind.py) is a name, a function (frames uint8 [F, H, W, 3], frames a second) -> (frames, frames
a second), the constant rate factor, and what must come true: Must(score, verb, than), where score is a column of the row, the verb one
of kind.VERBS, and than the name of the copy, or `clip`, that it is compared with. A family of kinds is a module with a tuple of them.
"""
import av

from benchmarks.scoring.damage_copies import DAMAGE_KINDS
from benchmarks.scoring.kind import CLIP, FINE
from benchmarks.scoring.motion_copies import MOTION_KINDS
from benchmarks.scoring.visual_copies import VISUAL_KINDS
from tqd_jax.clips.places import BadClip
from tqd_jax.clips.read import read_clip
from tqd_jax.clips.write import write_clip

LARGEST = 720  # short side, in pixels, of the clips as compared
KINDS = (
    *DAMAGE_KINDS,
    *MOTION_KINDS,
    *VISUAL_KINDS,
)
REMUXED = 'another container'


def make_copies(job):
    """Writes the copies of one clip into a folder of its own, beside the clip as compared; returns whether the clip is usable.

    job: (path, folder, seconds). Files of an earlier run stay.
    """
    path, folder, seconds = job
    try:
        clip = read_clip(path, rate=1000, seconds=0.001, short_side=LARGEST)
        clip = read_clip(path, rate=clip.fps, seconds=seconds, short_side=LARGEST)
    except BadClip:
        return False
    frames = clip.frames[:, :clip.frames.shape[1] // 4 * 4, :clip.frames.shape[2] // 4 * 4]
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f'{CLIP}.mp4').exists():
        write_clip(folder / f'{CLIP}.mp4', frames, clip.fps, crf=FINE)
    remux(folder / f'{CLIP}.mp4', folder / f'{REMUXED}.mkv')
    for kind in KINDS:
        if not (folder / f'{kind.name}.mp4').exists():  # written whole or not at all
            write_clip(folder / f'{kind.name}.mp4', *kind.make(frames, clip.fps), crf=kind.crf)
    return True


def remux(source, target):
    """Copies the video stream of a file into another container."""
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
