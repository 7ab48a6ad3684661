"""The same measuring on a cluster, by Apache Beam: rows are written in shards as they come, and another run takes up what one has left."""
import hashlib
import json
import os
import posixpath
import shlex
import uuid

import fsspec

from tqd_jax.data import places
from tqd_jax.quality import score
from tqd_jax.quality.row import measured_row
from transfer_jax.runtime.errors import UserError

try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
    raise UserError("--beam needs Apache Beam: pip install 'tqd-jax[beam]'") from error

ROWS = 100  # of a shard at most: what a worker that dies has measured in vain


def in_beam(paths, settings, *, options, scratch, timeout=300.0, memory=4 * 2**30, measure=measured_row):
    """(path, row) of every path, by a Beam pipeline of these options (text, as on a command line), once it has ended.

    scratch: a folder or URL that every worker reaches, as it must the clips; one run at a time. A pipeline that stops leaves its rows
    there; they are given first when it starts again, unless their clip has changed since. What has been taken up is removed.
    timeout, memory: of one clip, as in score.in_processes. Raises UserError where fsspec cannot open scratch.
    """
    version = hashlib.sha256(settings.version.encode()).hexdigest()[:16]
    folder = places.join(scratch if places.is_remote(scratch) else os.path.abspath(scratch), f'rows-{version}')
    places.check_protocols([folder])
    system, inside = fsspec.core.url_to_fs(folder)
    system.makedirs(inside, exist_ok=True)
    missing = dict.fromkeys(paths)
    yield from _taken_up(folder, missing)
    if missing:
        tasks = _write(folder, 'tasks.txt', ({'path': path, 'stamp': score.stamp(path)} for path in missing))
        _run(tasks, _Measure(settings, folder, timeout, memory, measure), options)
        yield from _taken_up(folder, missing)
    system.rm(inside, recursive=True)


def _run(tasks, measure, options):
    """Runs the pipeline over a file of tasks, until its end."""
    pipeline = beam.Pipeline(options=PipelineOptions(shlex.split(options)))
    read = pipeline | beam.io.ReadFromText(tasks)
    _ = read | beam.Reshuffle() | beam.ParDo(measure)  # without it, whoever reads a part of the file measures all of it
    with score.light_workers():
        pipeline.run().wait_until_finish()


class _Measure(beam.DoFn):
    """Measures tasks in a process of its own, and writes their rows to shards itself: Beam's files are there only at the very end."""

    def __init__(self, settings, folder, timeout, memory, measure):
        self._settings, self._folder, self._timeout, self._memory, self._measure = settings, folder, timeout, memory, measure

    def setup(self):
        self._pool = score.process_pool(1, self._settings, self._memory)

    def start_bundle(self):
        self._rows = []

    def process(self, line):
        task = json.loads(line)
        future = score.schedule(self._pool, task['path'], self._settings, self._timeout, self._measure)
        self._rows.append(task | {'row': score.outcome(future, self._timeout)})
        if len(self._rows) >= ROWS:
            self.finish_bundle()

    def finish_bundle(self):
        if self._rows:
            _write(self._folder, f'{uuid.uuid4().hex}.jsonl', self._rows)
            self._rows = []

    def teardown(self):
        self._pool.stop()
        self._pool.join()


def _write(folder, name, values):
    """Writes values as lines of JSON, under its name only when it is whole; where it lies."""
    system, inside = fsspec.core.url_to_fs(folder)
    part, whole = (posixpath.join(inside, ending) for ending in (f'{name}.part', name))
    with system.open(part, 'w', encoding='utf-8') as file:
        file.writelines(f'{json.dumps(value)}\n' for value in values)
    system.mv(part, whole)
    return places.join(folder, name)


def _taken_up(folder, missing):
    """(path, row) of what the shards have of the missing paths, which then miss no more."""
    system, inside = fsspec.core.url_to_fs(folder)
    system.invalidate_cache()
    for shard in system.find(inside):
        if not shard.endswith('.jsonl'):
            continue
        with system.open(shard, 'r', encoding='utf-8') as file:
            for found in map(json.loads, file):
                if found['path'] in missing and found['stamp'] == score.stamp(found['path']):
                    del missing[found['path']]
                    yield found['path'], found['row']
