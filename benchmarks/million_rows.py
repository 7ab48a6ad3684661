"""Memory and time of a library of a million clips with long captions: the process that loads it, and a worker that gets the loader.

    python -m benchmarks.million_rows [--rows 1000000] [--json]

Captions have 300 characters on average, every thousandth 2,000. Each figure is of a fresh process, its peak as Linux counts it (VmHWM).
"""
import argparse
import dataclasses
import json
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.memory import peak

BUCKETS, WORDS, BATCH = ((64, 64, 8), (96, 64, 8)), 8, 32
PIECE = 20_000  # rows that are made at a time


def write_table(path, rows):
    """A scores.parquet of `rows` clips, its columns those of write_scores."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet

    from tqd_jax.scoring.table import SCHEMA
    schema = pa.schema([*SCHEMA, ('source', pa.string()), ('caption', pa.string())])
    rng, words = np.random.default_rng(0), [f'word{number:04d}' for number in range(5000)]
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, PIECE):
            numbers = range(first, min(rows, first + PIECE))
            count = len(numbers)
            lengths = np.where(np.arange(count) % 1000, rng.integers(10, 57, count), 223)
            values = {field.name: rng.random(count) for field in schema if pa.types.is_floating(field.type)} | {
                'clip': [f'/data/videos/shard-{number // 1000:05d}/clip-{number:09d}.mp4' for number in numbers],
                'width': np.full(count, 64, np.int32), 'height': np.full(count, 64, np.int32), 'duration': np.full(count, 3.0),
                'fingerprint': ['ab' * 32] * count, 'id': [f'{number:016x}{number:016x}' for number in numbers],
                'scorer_version': ['5'] * count, 'dynamic_range': ['sdr'] * count,
                'reason': pa.nulls(count, pa.string()), 'source': ['web'] * count,
                'caption': [' '.join(words[word] for word in rng.integers(0, 5000, length))[:2000] for length in lengths]}
            writer.write_table(pa.table([pa.array(values[field.name], field.type) for field in schema], schema))


@dataclasses.dataclass(frozen=True)
class Plan:
    """Batches without their pixels: the numbers of their clips."""
    seed: int = 0
    batch: int = BATCH

    def __call__(self, number, clips):
        return clips


def load(folder):
    """Loads a folder's table as training does, plans one batch, and hands the loader to workers; prints the figures as JSON."""
    import numpy as np

    from tqd_jax.config import Data
    from tqd_jax.data.frames import FrameStore
    from tqd_jax.data.library import load_library
    from tqd_jax.data.loader import Loader, make_batches
    from tqd_jax.text.words import HashedWords
    from tqd_jax.timesteps.quality import LawConfig
    data = Data(buckets=BUCKETS)
    figures, start = {'imports': peak()}, time.process_time()
    library = load_library(data, folder, HashedWords(length=WORDS, vocab=512), LawConfig())
    figures |= {'load': peak(), 'load_s': time.process_time() - start}
    start = time.process_time()
    plan = make_batches(library, Plan(), np.arange(len(library)))
    plan[0]
    figures |= {'plan': peak(), 'plan_s': time.process_time() - start}
    loader = Loader(library=library, store=FrameStore(rows=library, fps=8.0, folder=None), seed=0, batch=BATCH)
    figures |= {'worker': in_worker(loader), 'worker_plan': in_worker(plan)}
    print(json.dumps(figures | {'end': peak()}))


def in_worker(work):
    """The peaks of a spawned process, in MB: with what it must import, with `work` unpickled, with work's first batch planned, and with
    the decoder, which a worker imports that reads no cached frames."""
    context = multiprocessing.get_context('spawn')
    mine, theirs = context.Pipe()
    process = context.Process(target=worker, args=(theirs, __import__('cloudpickle').dumps(work)))  # as grain hands it over
    process.start()
    peaks = mine.recv()
    process.join()
    return peaks


def worker(pipe, pickled):
    """In the spawned process."""
    import pickle

    import tqd_jax.data.loader
    peaks = [peak()]
    work = pickle.loads(pickled)
    peaks.append(peak())
    if hasattr(work, '__getitem__'):
        work[0]
    else:
        work.library.laws([0, len(work.library) - 1]), work.library.paths[len(work.library) - 1]
    peaks.append(peak())
    import tqd_jax.clips.read  # noqa: F401
    pipe.send([*peaks, peak()])


def page(rows, size, figures):
    """The lines of the page: peaks in MB and times in s of CPU, which other jobs of the machine do not change."""
    imports, plan = figures['worker'][0], figures['worker_plan'][2]
    table = [('the process that loads: imports', figures['imports']), ('... and the library', figures['load']),
             ('... and the first batch planned', figures['plan']), ('a worker process: imports', imports),
             ('... and the loader', figures['worker'][2]), ('... and the streams, the first batch planned', plan),
             ('... and the decoder, where frames are not cached', figures['worker_plan'][3])]
    peaks = [f'| {name} | {value:.0f} |' for name, value in table]
    return [f'{rows:,} clips, captions of 300 characters on average and 2,000 at most; scores.parquet has {size:.0f} MB. Each figure is '
            'the peak of a fresh process (VmHWM).', '', '| | MB |', '|---|---|', *peaks, '',
            f'Loading took {figures["load_s"]:.1f} s of CPU, the plan of the first batch {figures["plan_s"]:.2f} s. Aims: less than 1000 '
            'MB for the process that loads, less than 300 MB for a worker.']


def main():
    """Writes the table, measures in a fresh process, and writes the page; --json prints the figures alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rows', type=int, default=1_000_000)
    parser.add_argument('--json', action='store_true', help='print the figures, write no page')
    parser.add_argument('--load', help='internal: the folder to load')
    args = parser.parse_args()
    if args.load:
        load(args.load)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_table(pathlib.Path(folder, 'scores.parquet'), args.rows)
        command = [sys.executable, '-m', 'benchmarks.million_rows', f'--load={folder}']
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        size = pathlib.Path(folder, 'scores.parquet').stat().st_size / 1e6
    if args.json:
        print(json.dumps({'rows': args.rows, 'file_mb': size, **figures}))
        return
    from benchmarks.timing import write_page
    write_page('million_rows', 'A library of a million clips', page(args.rows, size, figures))


if __name__ == '__main__':
    main()
