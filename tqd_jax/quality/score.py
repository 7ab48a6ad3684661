"""Scores of many clips: a pure function clip -> row, run once per content, in processes of their own, with a reason for every clip left out."""
import concurrent.futures
import hashlib
import json
import multiprocessing
import os

from tqd_jax.data.video import BadClip, Limits, read_clip
from tqd_jax.quality.motion import RATE, motion
from tqd_jax.quality.visual import visual

VERSION = 1  # of every measure: raise it, and cached rows of another version are measured anew
SECONDS = 10.0
LIMITS = Limits(max_bytes=2**31)
SIDE = 540  # frames are shrunk to this short side


def score_clip(path):
    """The row of one clip: motion, visual, raw measures, width, height, fps, duration. Raises BadClip."""
    clip = read_clip(path, rate=RATE, seconds=SECONDS, short_side=SIDE, limits=LIMITS)
    sampled = clip.frames[::max(1, len(clip.frames) // 8)]
    return {'width': clip.width, 'height': clip.height, 'fps': clip.fps, 'duration': clip.duration, **motion(clip.frames, clip.times), **visual(sampled)}


def content_id(path):
    """Hex hash of a file's bytes: the key under which a clip's scores are kept. Raises BadClip."""
    try:
        with open(path, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()[:32]
    except OSError as error:
        raise BadClip(f'cannot be read ({error.strerror})') from error


def score_clips(paths, cache, workers=0, progress=None):
    """Rows of the usable clips, in order, and [(path, reason)] of the others.

    cache: a JSONL file of rows by content, appended to as clips are done. workers: processes; 0 measures in this one. progress(done, total).
    """
    known = _read_cache(cache)
    results, todo = {}, {}
    for path in paths:
        try:
            results[path] = content_id(path)
            if results[path] not in known:
                todo.setdefault(results[path], path)
        except BadClip as error:
            results[path] = error
    done = len(paths) - len(todo)
    os.makedirs(os.path.dirname(os.path.abspath(cache)), exist_ok=True)
    with open(cache, 'a') as file:
        for key, row in _measured(todo, workers):
            known[key] = row
            file.write(json.dumps({'id': key, 'scorer_version': VERSION, **row}) + '\n')
            file.flush()
            done += 1
            if progress:
                progress(done, len(paths))
    rows, skipped = [], []
    for path in paths:
        key = results[path]
        reason = str(key) if isinstance(key, BadClip) else known[key].get('reason')
        if reason:
            skipped.append((path, reason))
        else:
            rows.append({'clip': path, 'id': key, **known[key], 'scorer_version': VERSION})
    return rows, skipped


def _row(path):
    try:
        return score_clip(path)
    except BadClip as error:
        return {'reason': str(error)}


def _measured(todo, workers):
    if not workers or not todo:
        yield from ((key, _row(path)) for key, path in todo.items())
        return
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context('spawn')) as pool:
        yield from zip(todo, pool.map(_row, todo.values(), chunksize=4), strict=True)


def _read_cache(path):
    rows = {}
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                try:
                    row = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the row under way when the run was killed
                if row.pop('scorer_version') == VERSION:
                    rows[row.pop('id')] = row
    return rows
