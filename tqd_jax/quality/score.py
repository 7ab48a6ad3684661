"""Scores of many clips: clip -> row, once per content, in processes that a bad clip may kill, and a reason for each left out."""
import concurrent.futures
import hashlib
import json
import multiprocessing
import pathlib

import pebble

from tqd_jax.data.video import BadClip, read_clip
from tqd_jax.quality.motion import RATE, motion
from tqd_jax.quality.visual import visual

VERSION = 1  # of every measure: raise it, and cached rows of another version are measured anew
SECONDS = 10.0  # of a clip that are measured
SIDE = 540  # frames are shrunk to this short side
LOOKS = 8  # frames that the look is measured on, spread over the clip
TIMEOUT = 300.0  # seconds that one clip may take


def score_clip(path):
    """One clip's motion, visual, every raw measure, width, height, fps and duration. Raises BadClip."""
    clip = read_clip(path, rate=RATE, seconds=SECONDS, short_side=SIDE)
    spread = clip.frames[::max(1, len(clip.frames) // LOOKS)]
    facts = {name: getattr(clip, name) for name in ('width', 'height', 'fps', 'duration')}
    return facts | motion(clip.frames, clip.times) | visual(spread)


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
    known = _read_cache(cache)
    todo = {key: path for key, path in zip(ids, paths, strict=True) if key and key not in known}
    done = sum(key in known or not key for key in ids)
    progress(done, len(paths))
    with open(cache, 'a', encoding='utf-8') as file:
        for key, row in _measured(todo, workers, measure):
            known[key] = row
            file.write(json.dumps({'id': key, 'scorer_version': VERSION, **row}) + '\n')
            file.flush()
            done += ids.count(key)
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
    with pebble.ProcessPool(max_workers=workers, context=multiprocessing.get_context('spawn')) as pool:
        results = pool.map(measure, todo.values(), timeout=TIMEOUT).result()
        for key in todo:
            try:
                yield key, next(results)
            except concurrent.futures.TimeoutError:
                yield key, {'reason': f'took longer than {TIMEOUT:g} s to decode and measure'}
            except pebble.ProcessExpired as error:
                yield key, {'reason': f'its decoding process died (exit code {error.exitcode})'}


def _read_cache(path):
    rows = {}
    path = pathlib.Path(path)
    for line in path.read_text(encoding='utf-8').splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # the row under way when a run was killed
        if row.pop('scorer_version') == VERSION:
            rows[row.pop('id')] = row
    return rows
