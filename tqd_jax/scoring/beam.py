"""Measures clips on a cluster: an executor of scoring.engine that is an Apache Beam pipeline, the extra `[beam]`."""
import contextlib
import hashlib
import itertools
import json
import os
import shlex
import time
import uuid

import fsspec

from tqd_jax.scoring.engine import isolated, row_of, stamp
from tqd_jax.scoring.row import measured_row
from tqd_jax.scoring.store import RowStore
from transfer_jax.runtime.errors import UserError

try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError:
    raise UserError("--beam needs Apache Beam: pip install 'tqd-jax[beam]'") from None

BLOCK = 1000  # paths in a file that one worker reads: the pipeline itself holds the names of these files alone
PERIOD = 20.0  # s of measuring that an interruption may cost a worker


def in_beam(paths, settings, store, *, options, scratch, timeout=300.0, memory=4 * 2**30, measure=measured_row):
    """(path, row) of every path, measured by the workers of a Beam pipeline as engine.in_processes does; all come at its end.

    options: Beam's, as on a command line. scratch: a folder or URL that this process and all workers reach. Rows are written there while
    they come; those of a pipeline that was interrupted are taken into the store first, unless the file changed since or could not be read,
    so that `paths`, which looks there, leaves them out. Rows are never all in memory. Raises UserError where the options are not Beam's or
    scratch cannot be opened, and RuntimeError where the pipeline ends without success.
    """
    options = options_of(options)
    files = Scratch(scratch, f'{os.path.abspath(store)} {settings.version}')
    with RowStore(store, settings.version) as database:
        for path, mark, row in files.read('rows'):
            if 'id' in row:
                database.add(path, mark, row)
        files.remove()
        blocks = [files.write('paths', block) for block in _blocks((path, stamp(path)) for path in paths)]
        if blocks:
            _run(options, blocks, Measure(files, settings, timeout, memory, measure))
        for path, mark, row in files.read('rows'):
            database.add(path, mark, row)
        for path, mark in files.read('paths'):
            yield path, database.row(path, mark)
    files.remove()  # whoever asked for more has kept the last row


def options_of(text):
    """Beam's options of a command line. Raises UserError on what is none of them, which Beam itself would leave out."""
    try:
        with contextlib.redirect_stderr(None):
            words = shlex.split(text)
            options = PipelineOptions(words)
            allowed = options.get_all_options()
    except (SystemExit, ValueError):
        raise UserError(f'--beam={text}: these are not options of Beam') from None
    names = [word.removeprefix('--').partition('=')[0] for word in words if word.startswith('--')]
    strange = [name for name in names if name not in allowed and name.removeprefix('no_') not in allowed]
    if strange:
        raise UserError(f'--beam={text}: Beam has no option --{strange[0]}')
    return options


def _blocks(items):
    return iter(lambda: list(itertools.islice(items, BLOCK)), [])


def _run(options, blocks, measure):
    pipeline = beam.Pipeline(options=options)
    clips = pipeline | beam.Create(blocks) | 'spread files' >> beam.Reshuffle() | beam.FlatMap(measure.files.lines)
    clips | 'spread clips' >> beam.Reshuffle() | beam.ParDo(measure)
    state = pipeline.run().wait_until_finish()
    if state != 'DONE':
        raise RuntimeError(f'the pipeline ended as {state}; its rows are kept: start again')


class Scratch:
    """A folder of JSON lines that many processes write, each file of them once and whole; `key` says what they are of."""

    def __init__(self, place, key):
        try:
            self._system, root = fsspec.core.url_to_fs(place)
        except (ImportError, ValueError) as error:  # the text names the package
            raise UserError(f'--scratch={place} cannot be opened: {error}') from error
        self._folder = f'{root.rstrip("/")}/tqd-score-{hashlib.sha256(key.encode()).hexdigest()[:16]}'

    def write(self, kind, values):
        """Writes values as lines, and returns the file's name."""
        self._system.makedirs(self._folder, exist_ok=True)
        name = f'{self._folder}/{kind}-{uuid.uuid4().hex}.jsonl'
        with self._system.open(name, 'wb') as file:
            file.write(''.join(json.dumps(value) + '\n' for value in values).encode())
        return name

    def read(self, kind):
        """The values of all files of a kind."""
        self._system.invalidate_cache()  # others write
        for name in sorted(self._system.glob(f'{self._folder}/{kind}-*.jsonl')):
            yield from self.lines(name)

    def lines(self, name):
        """The values of one file; a line whose writer was killed in the middle of it is left out."""
        with self._system.open(name, 'rb') as file:
            yield from (json.loads(line) for line in file if line.endswith(b'\n'))

    def remove(self):
        """Removes the folder."""
        if self._system.exists(self._folder):
            self._system.rm(self._folder, recursive=True)


class Measure(beam.DoFn):
    """Measures the paths of (path, stamp) in a process of its own, which a bad clip may kill, and writes (path, stamp, row) to files.

    A bundle that Beam runs twice is written twice: to take rows into the store again changes nothing.
    """

    def __init__(self, files, settings, timeout, memory, measure):
        self.files, self._settings, self._measure = files, settings, measure
        self._timeout, self._memory = timeout, memory

    def setup(self):
        self._stack, self._rows, self._written = contextlib.ExitStack(), [], time.monotonic()
        self._schedule = self._stack.enter_context(isolated(
            self._settings, None, workers=1, timeout=self._timeout, memory=self._memory, measure=self._measure))

    def process(self, clip):
        path, mark = clip
        self._rows.append((path, mark, row_of(self._schedule(path), self._timeout)))
        if time.monotonic() - self._written >= PERIOD:
            self._write()

    def finish_bundle(self):
        self._write()

    def teardown(self):
        self._stack.close()

    def _write(self):
        if self._rows:
            self.files.write('rows', self._rows)
        self._rows, self._written = [], time.monotonic()
