"""The input pipeline: clips a second against the bare decoder on the same files and windows, and how long training waits for data.

    python -m benchmarks.pipeline [--clips FOLDER] [--batches 30] [--steps 100] [--width 32 --height 32 --frames 8]
"""
import argparse
import json
import pathlib
import shutil
import tempfile
import time

import av
import numpy as np

from benchmarks.timing import write_page
from configs import pixels
from tqd_jax.config import Config, law_config
from tqd_jax.data.frames import FrameStore
from tqd_jax.data.library import load_library
from tqd_jax.data.loader import Loader, iterate, make_batches
from tqd_jax.data.prepare import prepare
from tqd_jax.text.words import HashedWords
from tqd_jax.training.loop import train
from tqd_jax.training.run import build
from transfer_jax.runtime.config import instance, override


def bare_decode(paths, seconds):
    """Clips a second of PyAV alone: every frame of the first `seconds` of each path decoded to RGB."""
    start = time.perf_counter()
    for path in paths:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                frame.to_ndarray(format='rgb24')
                if frame.time is not None and frame.time >= seconds:
                    break
    return len(paths) / (time.perf_counter() - start)


def pipeline_rate(library, config, folder, workers, count):
    """(clips a second of the whole pipeline, the clips of its batches) over `count` batches; folder None decodes every window."""
    store = FrameStore(rows=library, fps=config.data.fps, folder=folder)
    loader = Loader(library=library, store=store, seed=0, batch=config.train.batch)
    batches = iterate(make_batches(library, loader, np.arange(len(library))), 0, count, workers=workers, prefetch=config.data.prefetch)
    next(batches)
    start = time.perf_counter()
    clips = [batch.clip for batch in batches]
    return config.train.batch * len(clips) / (time.perf_counter() - start), np.concatenate(clips)


def wait_share(config, folder, cache_gb):
    """Share of the time of config.train.steps training steps, but the first 20, that was spent waiting for batches."""
    config = override(config, {'data.cache_gb': cache_gb})
    for name in ('checkpoints', 'tensorboard'):
        shutil.rmtree(pathlib.Path(folder, name), ignore_errors=True)
    train(build(config, folder))
    rows = map(json.loads, pathlib.Path(folder, 'metrics.jsonl').read_text().splitlines())
    return float(np.mean([row['wait_share'] for row in rows if 'wait_share' in row][1:]))


def rates(library, config, folder, count):
    """{what: clips a second} of the bare decoder, and of the pipeline uncached, filling its cache and from its cache."""
    uncached, clips = pipeline_rate(library, config, None, 0, count)
    decoder = bare_decode(library.paths[clips[:len(library)]], config.data.buckets[0][2] / config.data.fps)
    workers, _ = pipeline_rate(library, config, None, 2, count)
    filling, _ = pipeline_rate(library, config, f'{folder}/frames', 0, count)
    cached, _ = pipeline_rate(library, config, f'{folder}/frames', 0, 10 * count)
    return {'bare decoder (PyAV, one thread)': decoder, 'pipeline, decoding every window': uncached,
            'pipeline, decoding, 2 worker processes': workers, 'pipeline, filling its cache': filling, 'pipeline, from its cache': cached}


def main():
    """Times the pipeline and the decoder, and the waits of training; writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--clips')
    parser.add_argument('--batches', type=int, default=30)
    parser.add_argument('--steps', type=int, default=100)
    for name, value in (('width', 32), ('height', 32), ('frames', 8)):
        parser.add_argument(f'--{name}', type=int, default=value)
    args = parser.parse_args()
    changes = {'data.clips': args.clips, 'data.buckets': ((args.width, args.height, args.frames),), 'train.steps': args.steps,
               'init_from': None}
    config = override(instance(Config, pixels.get_config()), changes)
    with tempfile.TemporaryDirectory() as folder:
        prepare(config.data, pathlib.Path(folder), config.seed)
        text = HashedWords(length=config.model.text_len, vocab=config.model.vocab)
        library = load_library(config.data, folder, text, law_config(config.law))
        speeds = rates(library, config, folder, args.batches)
        waits = [wait_share(config, folder, cache_gb) for cache_gb in (config.data.cache_gb, 0)]
    page(library, config, args, speeds, waits)


def page(library, config, args, speeds, waits):
    """Writes the page; speeds as rates() has them, waits with the cache and without."""
    what, decoder = 'a folder of real clips' if args.clips else 'the rendered library', next(iter(speeds.values()))
    write_page('pipeline' + ('_real' if args.clips else ''), 'The input pipeline', [
        f'{len(library)} clips of {what}; windows of {args.frames} frames at {config.data.fps} a second, {args.width}x{args.height}, '
        f'batch {config.train.batch}.', '', '| | clips a second | of the bare decoder |', '|---|---|---|',
        *(f'| {name} | {rate:.0f} | {rate / decoder:.2f} |' for name, rate in speeds.items()), '',
        f'In {args.steps} steps of `configs/pixels.py` (`{config.model.preset}`, batch {config.train.batch}) training waited for data '
        f'{waits[0]:.1%} of the time from the cache, {waits[1]:.1%} decoding every window (`wait_share` in `metrics.jsonl`; aim 5 %).'])


if __name__ == '__main__':
    main()
