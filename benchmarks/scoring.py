"""Do the scores order what they must, and stay where they must? Copies of clips, made worse or merely made over, as real files.

    python -m benchmarks.scoring --clips=FOLDER
"""
import argparse
import pathlib
import tempfile

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import scipy.stats as st

from benchmarks.timing import machine
from tqd_jax.data.manifest import read_clips
from tqd_jax.data.render import render_library
from tqd_jax.data.video import BadClip, read_clip, write_clip
from tqd_jax.quality.score import VERSION, score_clip

SECONDS, SIDE, CLEAN = 4.0, 480, 8  # of every clip that copies are made of; short side; x264's crf where compression is not the point
PAGE = pathlib.Path(__file__).parents[1] / 'docs/results/scoring.md'


def resized(frames, factor, filter_=cv2.INTER_AREA):
    """Frames scaled by a factor, to even sizes."""
    size = tuple(max(16, int(side * factor) // 2 * 2) for side in frames.shape[2:0:-1])
    return np.stack([cv2.resize(frame, size, interpolation=filter_) for frame in frames])


def down_up(frames, factor):
    """Frames shrunk by a factor and enlarged again."""
    size = frames.shape[2:0:-1]
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in resized(frames, 1 / factor)])


def noisy(frames, sigma):
    """Frames with white noise of sigma grey levels."""
    return np.clip(frames + np.random.default_rng(0).normal(0, sigma, frames.shape).astype(np.float32), 0, 255).astype(np.uint8)


def blurred(frames, sigma):
    """Frames blurred by a Gaussian of sigma pixels."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


SAME = lambda frames, fps: (frames, fps, CLEAN)
LESS_MOTION = {'frozen': lambda x, fps: (np.repeat(x[:1], len(x), 0), fps, CLEAN), 'half speed': lambda x, fps: (x, fps / 2, CLEAN)}
LESS_LOOK = {'blur, sigma 1': lambda x, fps: (blurred(x, 1), fps, CLEAN), 'blur, sigma 2': lambda x, fps: (blurred(x, 2), fps, CLEAN),
             'noise, sigma 10': lambda x, fps: (noisy(x, 10), fps, CLEAN), 'noise, sigma 25': lambda x, fps: (noisy(x, 25), fps, CLEAN),
             'H.264, crf 38': lambda x, fps: (x, fps, 38), 'H.264, crf 45': lambda x, fps: (x, fps, 45),
             'down-up, 2x': lambda x, fps: (down_up(x, 2), fps, CLEAN), 'down-up, 4x': lambda x, fps: (down_up(x, 4), fps, CLEAN)}
MADE_OVER = {'half resolution': lambda x, fps: (resized(x, 0.5), fps, CLEAN), 'half frame rate': lambda x, fps: (x[::2], fps / 2, CLEAN)}


def remuxed(path, folder):
    """The same packets in a Matroska file."""
    target = folder / 'remuxed.mkv'
    with av.open(str(path)) as source, av.open(str(target), 'w') as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    return target


def scores_of_copies(path, folder):
    """{copy: (motion, look)} of one clip. Raises BadClip."""
    fps = min(read_clip(path, rate=1, seconds=1).fps, 30.0)
    clip = read_clip(path, rate=fps, seconds=SECONDS, short_side=SIDE)
    frames = clip.frames[:, :clip.frames.shape[1] // 2 * 2, :clip.frames.shape[2] // 2 * 2]
    found = {}
    for name, change in {'same': SAME, **LESS_MOTION, **LESS_LOOK, **MADE_OVER}.items():
        changed, rate, crf = change(frames, fps)
        write_clip(folder / 'copy.mp4', changed, rate, crf=crf)
        found[name] = _score(folder / 'copy.mp4')
        if name == 'same':
            found['other container'] = _score(remuxed(folder / 'copy.mp4', folder))
    return found


def _score(path):
    row = score_clip(path)
    return row['motion'], row['visual']


def ordering_rows(table):
    """Table rows: the share of clips that score above each worse copy, and which do not."""
    rows = []
    for axis, copies in ((0, LESS_MOTION), (1, LESS_LOOK)):
        for name in copies:
            failed = [clip for clip, found in table.items() if not found['same'][axis] > found[name][axis]]
            share = 1 - len(failed) / len(table)
            rows.append(f'| {("motion", "look")[axis]} | {name} | {share:.1%} | {", ".join(failed) or "none"} |')
    return rows


def invariance_rows(table):
    """Table rows: how far each made-over copy moves, as a share of the clips' 5-95 percentile range."""
    rows = []
    for name in ('other container', *MADE_OVER):
        for axis, word in enumerate(('motion', 'look')):
            same = np.array([found['same'][axis] for found in table.values()])
            moved = np.abs(np.array([found[name][axis] for found in table.values()]) - same) / np.subtract(*np.percentile(same, [95, 5]))
            over = [clip for clip, value in zip(table, moved, strict=True) if value > 0.1]
            rows.append(f'| {name} | {word} | {np.median(moved):.3f} | {moved.max():.3f} | {", ".join(over) or "none"} |')
    return rows


def rendered_rows():
    """Table rows: Spearman correlation with the truth on the rendered library of 240 clips, three seeds."""
    rows = []
    for seed in range(3):
        with tempfile.TemporaryDirectory() as folder:
            manifest = render_library(pathlib.Path(folder, 'library'), seed=seed)
            truth = pq.read_table(manifest).to_pylist()
            found = [_score(manifest.parent / row['clip']) for row in truth]
        motion, look = (st.spearmanr([score[axis] for score in found], [row[name] for row in truth])[0]
                        for axis, name in enumerate(('true_motion', 'true_look')))
        rows.append(f'| {seed} | {motion:.3f} | {look:.3f} |')
    return rows


def main():
    """Makes the copies, scores them, writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', required=True)
    args = parser.parse_args()
    table = {}
    for path in read_clips(args.clips)['clip'].to_pylist():
        with tempfile.TemporaryDirectory() as folder:
            try:
                table[pathlib.Path(path).name] = scores_of_copies(path, pathlib.Path(folder))
                print(pathlib.Path(path).name, table[pathlib.Path(path).name]['same'], flush=True)
            except BadClip as error:
                print(f'{path} left out: {error}')
    lines = ['# Do the scores order what they must?', '', '`python -m benchmarks.scoring --clips=FOLDER`', '',
             f'{len(table)} real clips (the first {SECONDS:g} s of each, short side at most {SIDE}), scorer version {VERSION}, '
             f'OpenCV {cv2.__version__}; {machine()}. Every copy is a real file.', '',
             '## A clip scores above its worse copies', '', '| score | copy | clips above it | those that are not |', '|---|---|---|---|',
             *ordering_rows(table), '', '## A clip made over scores the same', '',
             'Distances as shares of the 5-95 percentile range of the clips; the aim is at most 0.1.', '',
             '| copy | score | median | largest | clips beyond 0.1 |', '|---|---|---|---|---|', *invariance_rows(table), '',
             '## The rendered library', '', 'Spearman correlation with the known truth, 240 clips; the aim is 0.9. The constants of the '
             'look score were calibrated on the library of seed 0 and held against these real clips; seeds 1 and 2 were not looked at.', '',
             '| seed | motion | look |', '|---|---|---|', *rendered_rows(), '']
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text('\n'.join(lines))
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
