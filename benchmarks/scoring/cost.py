"""What scoring costs: seconds beside those of decoding the same frames, and memory by the number of rows.

These functions run in processes of their own, which can find nothing in a package's __main__.
"""
import concurrent.futures
import functools
import multiprocessing
import tempfile
import time

import pyarrow as pa

from benchmarks.memory import peak
from tqd_jax.clips.display import frames_on_display, probe
from tqd_jax.clips.places import BadClip
from tqd_jax.scoring.engine import in_processes, rows, score_clips
from tqd_jax.scoring.measures import MEASURES
from tqd_jax.scoring.motion.motion import sampling_rate
from tqd_jax.scoring.row import Settings, windows_of
from tqd_jax.scoring.table import write_scores

ROUNDS = 3  # of scoring and decoding in turn
SPAWN = multiprocessing.get_context('spawn')


def decode(path):
    """Decodes the frames of a clip that scoring measures, without converting them; returns how many the clip shows."""
    try:
        info = probe(path)
        count = 0
        for start, seconds in windows_of(info.duration):
            with frames_on_display(path, sampling_rate(info.fps), start, seconds, Settings().limits) as (_, _, pairs):
                count += sum(1 for _ in pairs)
        return count
    except BadClip:
        return 0


def speed(paths, workers):
    """Seconds of scoring and of decoding all clips, in turn, [ROUNDS, 2]: as many processes for each, their start included."""
    seconds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            measure = functools.partial(in_processes, settings=Settings(), store=f'{folder}/store', workers=workers)
            start = time.perf_counter()
            score_clips(paths, f'{folder}/store', measure=measure)
            middle = time.perf_counter()
            with concurrent.futures.ProcessPoolExecutor(workers, SPAWN) as pool:
                list(pool.map(decode, paths))
            seconds.append((middle - start, time.perf_counter() - middle))
    return seconds


def memory(count):
    """Peak memory in MB of a fresh process that stores and writes `count` synthetic rows: all of scoring but the measures."""
    with concurrent.futures.ProcessPoolExecutor(1, SPAWN) as pool:
        return pool.submit(_write_rows, count).result()


def _write_rows(count):
    row = {m.name: 0.123456789 for m in MEASURES} | {'motion': 0.1, 'visual': 0.2, 'width': 64, 'height': 64, 'fps': 8.0, 'duration': 1.0}
    paths = [f'/nowhere/{number}.mp4' for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        store = f'{folder}/store'
        score_clips(paths, store, measure=lambda names: ((name, row | {'id': name}) for name in names))
        write_scores(f'{folder}/scores.parquet', pa.table({'clip': paths}), lambda: rows(paths, store))
    return peak()
