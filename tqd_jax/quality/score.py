"""Scores of many clips: clip -> row, once per content, in processes that a bad clip may kill, and a reason for each left out."""
import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import pathlib
import sys
import types

import numpy as np
import pebble

from tqd_jax.data.video import BadClip, probe, read_clip
from tqd_jax.quality.motion import RATE, motion
from tqd_jax.quality.visual import visual

VERSION = 3  # of every measure: raise it, and cached rows of another version are measured anew
WINDOW, WINDOWS = 3.0, 4  # seconds of a clip that are measured at a time, and how often; a shorter clip is measured whole
SIDE = 540  # frames are shrunk to this short side
LOOKS = 8  # frames that the look is measured on, spread over what is measured
TIMEOUT = 300.0  # seconds that one clip may take


def score_clip(path):
    """One clip's motion, visual, every raw measure, width, height, fps and duration. Raises BadClip.

    What is measured are the first to the last 3 s in four evenly spaced windows, or all of a clip of up to 12 s; a measure is the mean of
    the windows'. So a long clip costs what a short one does, and a slowed copy is measured on the same scenes.
    """
    info = probe(path)
    last = info.duration - WINDOW
    windows = [(0.0, WINDOWS * WINDOW)] if last < (WINDOWS - 1) * WINDOW else [(start, WINDOW) for start in np.linspace(0, last, WINDOWS)]
    measures = [_measure(read_clip(path, rate=RATE, start=start, seconds=seconds, short_side=SIDE), LOOKS // len(windows))
                for start, seconds in windows]
    return dataclasses.asdict(info) | {name: float(np.mean([m[name] for m in measures])) for name in measures[0]}


def _measure(clip, looks):
    spread = np.linspace(0, len(clip.frames) - 1, min(looks, len(clip.frames))).round().astype(int)
    shrunk = min(clip.frames.shape[1:3]) / min(clip.width, clip.height)
    return motion(clip.frames, clip.times) | visual(clip.frames[spread], block=8 * shrunk)


def measured_row(path):
    """score_clip, or {'reason': why not}."""
    try:
        return score_clip(path)
    except BadClip as error:
        return {'reason': str(error)}


def score_clips(paths, cache, workers=0, progress=lambda done, total: None, measure=measured_row):
    """Rows of the usable clips, in order, and [(path, reason)] of the others.

    A row is what score_clip says, and clip (path), id (hex hash of the file's bytes) and scorer_version. cache: a JSONL file that every
    measured content is appended to at once, so that a killed run loses the clips under way at most. workers: processes; 0 measures in this
    one, where a clip that hangs or crashes is not survived.
    """
    ids = [_content_id(path) for path in paths]
    copies = collections.Counter(ids)
    known = _read_cache(cache)
    todo = {key: path for key, path in zip(ids, paths, strict=True) if key and key not in known}
    done = len(paths) - sum(copies[key] for key in todo)
    progress(done, len(paths))
    with open(cache, 'a', encoding='utf-8') as file:
        for key, row in _measured(todo, workers, measure):
            known[key] = row
            file.write(json.dumps({'id': key, 'scorer_version': VERSION, **row}) + '\n')
            file.flush()
            done += copies[key]
            progress(done, len(paths))
    rows = [{'clip': path, 'id': key, 'scorer_version': VERSION, **known.get(key, {'reason': 'cannot be read'})}
            for key, path in zip(ids, paths, strict=True)]
    return [row for row in rows if 'reason' not in row], [(row['clip'], row['reason']) for row in rows if 'reason' in row]


def _content_id(path):
    try:
        with open(path, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()[:32]
    except OSError:
        return None


def _measured(todo, workers, measure):
    if not workers or not todo:
        yield from ((key, measure(path)) for key, path in todo.items())
        return
    with _light_workers(), pebble.ProcessPool(max_workers=workers, context=multiprocessing.get_context('spawn')) as pool:
        try:
            keys = {pool.schedule(measure, args=[path], timeout=TIMEOUT): key for key, path in todo.items()}
            yield from ((keys[future], _row(future)) for future in concurrent.futures.as_completed(keys))
        except BaseException:  # leaving the pool would wait for all that is still queued
            pool.stop()
            raise


def _row(future):
    try:
        return future.result()
    except concurrent.futures.TimeoutError:
        return {'reason': f'took longer than {TIMEOUT:g} s to decode and measure'}
    except pebble.ProcessExpired as error:
        return {'reason': f'its decoding process died (exit code {error.exitcode})'}


@contextlib.contextmanager
def _light_workers():
    """Spares the processes started meanwhile what the main module imports: jax alone would take longer than some hundred clips."""
    main, sys.modules['__main__'] = sys.modules['__main__'], types.ModuleType('__main__')
    try:
        yield
    finally:
        sys.modules['__main__'] = main


def _read_cache(path):
    """{id: row} of this version. A line that a killed run left unfinished is closed, so that the next one does not join it."""
    rows = {}
    path = pathlib.Path(path)
    text = path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''
    for line in text.splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            if row.pop('scorer_version') == VERSION:
                rows[row.pop('id')] = row
    if text and not text.endswith('\n'):
        with open(path, 'a', encoding='utf-8') as file:
            file.write('\n')
    return rows
