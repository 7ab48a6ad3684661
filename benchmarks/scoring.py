"""Do the scores order what they must, and stay where nothing changes? Copies of real clips, and the rendered library's truth, as a table.

    python -m benchmarks.scoring --clips=FOLDER [--seconds=4] [--workers=2] [--output=docs/results/scoring.md]

Takes some 15 minutes for 30 clips on two cores.
"""
import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import platform
import tempfile
import time

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import scipy.stats as st

from tqd_jax.data.manifest import read_clips
from tqd_jax.data.render import render_library
from tqd_jax.data.video import BadClip, read_clip, write_clip
from tqd_jax.quality.motion import RATE
from tqd_jax.quality.score import SIDE, VERSION, score_clips

LARGEST = 720  # short side, in pixels, of the clips as compared
FINE, USUAL = 10, 18  # constant rate factors: hardly any loss, and what people upload


def resized(frames, size, method=cv2.INTER_AREA):
    return np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])


def half(frames):
    return resized(frames, (frames.shape[2] // 2, frames.shape[1] // 2))


def blurred(frames, sigma):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])


def noisy(frames, sigma):
    noise = (sigma * np.random.default_rng(0).standard_normal(frame.shape, np.float32) for frame in frames)
    return np.stack([np.clip(frame + grain, 0, 255).round().astype(np.uint8) for frame, grain in zip(frames, noise, strict=True)])


def posterised(frames, step):
    return frames // step * step + step // 2


def middle(frames):
    """The first frame's middle half, held."""
    height, width = (side // 4 for side in frames.shape[1:3])
    return np.repeat(frames[:1, height:3 * height, width:3 * width], len(frames), 0)


def upscaled(frames, factor):
    height, width = frames.shape[1:3]
    return resized(resized(frames, (round(width / factor), round(height / factor))), (width, height), cv2.INTER_CUBIC)


# name: (frames and frames a second -> the copy's, its constant rate factor)
COPIES = {
    'frozen': (lambda x, fps: (np.repeat(x[:1], len(x), 0), fps), USUAL),
    'a still, cropped': (lambda x, fps: (middle(x), fps), USUAL),
    'half speed': (lambda x, fps: (x, fps / 2), USUAL),
    'half speed, frames doubled': (lambda x, fps: (np.repeat(x, 2, 0), fps), USUAL),
    'double speed': (lambda x, fps: (x, 2 * fps), USUAL),
    'double speed, every second frame': (lambda x, fps: (x[::2], fps), USUAL),
    'blur, sigma 1': (lambda x, fps: (blurred(x, 1), fps), USUAL),
    'blur, sigma 2': (lambda x, fps: (blurred(x, 2), fps), USUAL),
    'noise, sigma 8': (lambda x, fps: (noisy(x, 8), fps), USUAL),
    'noise, sigma 25': (lambda x, fps: (noisy(x, 25), fps), USUAL),
    'low bit rate, crf 38': (lambda x, fps: (x, fps), 38),
    'low bit rate, crf 45': (lambda x, fps: (x, fps), 45),
    'down and up, factor 2': (lambda x, fps: (upscaled(x, 2), fps), USUAL),
    'down and up, factor 3': (lambda x, fps: (upscaled(x, 3), fps), USUAL),
    'down and up, factor 4': (lambda x, fps: (upscaled(x, 4), fps), USUAL),
    'banding, 8 levels a step': (lambda x, fps: (posterised(x, 8), fps), USUAL),
    'banding, 16 levels a step': (lambda x, fps: (posterised(x, 16), fps), USUAL),
    'encoded again': (lambda x, fps: (x, fps), 12),
    'every second frame': (lambda x, fps: (x[::2], fps / 2), FINE),
    'half the size': (lambda x, fps: (half(x), fps), FINE),
}
SLOWER = list(COPIES)[:3]
POORER = list(COPIES)[3:12]
SAME = ['another container', *list(COPIES)[12:]]


def make_copies(job):
    """Writes the copies of one clip into a folder of its own, beside the clip as compared; says whether it is usable."""
    path, folder, seconds = job
    try:
        clip = read_clip(path, rate=1000, seconds=0.001, short_side=LARGEST)
        clip = read_clip(path, rate=clip.fps, seconds=seconds, short_side=LARGEST)
    except BadClip:
        return False
    frames = clip.frames[:, :clip.frames.shape[1] // 4 * 4, :clip.frames.shape[2] // 4 * 4]
    folder.mkdir()
    write_clip(folder / 'clip.mp4', frames, clip.fps, crf=FINE)
    remux(folder / 'clip.mp4', folder / 'another container.mkv')
    for name, (change, crf) in COPIES.items():
        write_clip(folder / f'{name}.mp4', *change(frames, clip.fps), crf=crf)
    return True


def remux(source, target):
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def real_scores(clips, folder, seconds, workers):
    """{copy: [clips] of rows}, and the clips' names."""
    jobs = [(path, folder / f'{i:03d} {pathlib.Path(path).name}', seconds) for i, path in enumerate(read_clips(clips)['clip'].to_pylist())]
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context('spawn')) as pool:
        usable = [job for job, good in zip(jobs, pool.map(make_copies, jobs), strict=True) if good]
    paths = [str(path) for _, place, _ in usable for path in sorted(place.iterdir())]
    rows, skipped = score_clips(paths, folder / 'cache.jsonl', workers=workers)
    if skipped:
        raise RuntimeError(f'copies that cannot be scored: {skipped}')
    table = {}
    for row in rows:
        table.setdefault(pathlib.Path(row['clip']).stem, []).append(row)
    return table, [pathlib.Path(path).name for path, _, _ in usable]


def orderings(table, score, copies, names):
    """Table rows: how many copies score below their clips, what share of the score the median copy keeps, and which fail."""
    clip = np.array([row[score] for row in table['clip']])
    for name in copies:
        other = np.array([row[score] for row in table[name]])
        failed = ', '.join(names[i] for i in np.flatnonzero(other >= clip))
        yield f'| {score} | {name} | {np.sum(other < clip)} of {len(clip)} | {np.median(other / np.maximum(clip, 1e-9)):.3f} | {failed} |'


def invariances(table, score, copies, names):
    """Table rows: by how much of the clips' spread (5th to 95th percentile; standard deviation) the score moves."""
    clip = np.array([row[score] for row in table['clip']])
    spread = np.subtract(*np.percentile(clip, [95, 5]))
    for name in copies:
        moved = np.abs([row[score] for row in table[name]] - clip) / spread
        median, most = np.percentile(moved, [50, 90])
        worst = ', '.join(f'{names[i]} {moved[i]:.0%}' for i in np.argsort(-moved)[:2])
        yield (f'| {score} | {name} | {np.sum(moved <= 0.1)} of {len(clip)} | {median:.1%} | {most:.1%} | {most * spread / clip.std():.1%} '
               f'| {worst} |')


def rendered(folder, workers):
    """Spearman correlations with the rendered truth, and seconds to score and to decode."""
    manifest = render_library(folder)
    truth = pq.read_table(manifest).to_pylist()
    paths = [str(manifest.parent / row['clip']) for row in truth]
    start = time.perf_counter()
    rows, _ = score_clips(paths, folder / 'cache.jsonl', workers=workers)
    scored = time.perf_counter()
    for path in paths:
        read_clip(path, rate=RATE, short_side=SIDE)
    decoded = time.perf_counter()
    agree = lambda score, column: st.spearmanr([row[score] for row in rows], [row[column] for row in truth])[0]
    return agree('motion', 'true_motion'), agree('visual', 'true_look'), len(rows), scored - start, decoded - scored


def page(table, names, truth, seconds):
    """The page's lines."""
    motion, look, count, scoring, decoding = truth
    yield (f'{len(names)} clips, of each the first {seconds:g} s at no more than {LARGEST} pixels a shorter side, encoded at crf {FINE}; '
           f'copies at crf {USUAL}, those that must score the same at crf {FINE}.')
    yield '\n## A copy must score below its clip\n'
    yield '| score | copy | below | median copy / clip | not below |\n|---|---|---|---|---|'
    yield from orderings(table, 'motion', SLOWER, names)
    yield from orderings(table, 'visual', POORER, names)
    yield '\n## A copy must score the same\n'
    yield ('Moves in shares of the clips\' spread (5th to 95th percentile), and the 90th percentile in standard deviations too.\n\n'
           '| score | copy | within 10 % | median | 90th percentile | of the deviation | most |\n|---|---|---|---|---|---|---|')
    for score in ('motion', 'visual'):
        yield from invariances(table, score, SAME, names)
    yield '\nMotion of poorer copies, which it need not keep exactly, but nearly:\n'
    yield '| score | copy | within 10 % | median | 90th percentile | of the deviation | most |\n|---|---|---|---|---|---|---|'
    yield from invariances(table, 'motion', POORER[::2], names)
    yield '\n## The rendered library\n'
    yield f'Spearman correlation with the truth: motion {motion:.3f}, look {look:.3f}.'
    yield (f'{count} clips of 64 x 64 x 24 scored in {scoring:.1f} s, start of the processes included: {count / scoring:.0f} clips a '
           f'second; the decoder alone, in one process: {count / decoding:.0f}.')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips', required=True)
    parser.add_argument('--seconds', type=float, default=4.0)
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--output', type=pathlib.Path, default=pathlib.Path('docs/results/scoring.md'))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / 'copies').mkdir()
        truth = rendered(folder / 'library', args.workers)
        table, names = real_scores(args.clips, folder / 'copies', args.seconds, args.workers)
        lines = '\n'.join(page(table, names, truth, args.seconds))
    versions = f'Python {platform.python_version()}, OpenCV {cv2.__version__}, PyAV {av.__version__}, scorer version {VERSION}'
    text = (f'# Scores of motion and look: orderings, invariances, truth\n\n`python -m benchmarks.scoring --clips=FOLDER`, '
            f'{time.strftime("%Y-%m-%d")}, {os.cpu_count()} cores, {platform.machine()}, {versions}.\n\n{lines}\n')
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(text)
    print(text)


if __name__ == '__main__':
    main()
