"""Scores a library of clips: what moves, what looks good, and what cannot be used, as a table and a page.

    python -m tqd_jax.score --clips=FOLDER_OR_LIST --output=scores.parquet [--workers=8]

Stopped at any moment, even by SIGKILL, the same command goes on with what is missing. Beside the table come quality.html and
normaliser.json, and what was measured is kept in scores.parquet.store, by content: moved or renamed, a clip is not measured again.
"""
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import os
import pathlib
import sqlite3
import sys
import tempfile

import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
from absl import app, flags, logging

from tqd_jax.clips import places
from tqd_jax.clips.container import Limits
from tqd_jax.report.quality import write_quality_report
from tqd_jax.scoring import engine as score
from tqd_jax.scoring.input import GIVEN, clips_table, marked, reusable, unmeasured
from tqd_jax.scoring.motion.optical_flow import FLOWS
from tqd_jax.scoring.normaliser import KINDS
from tqd_jax.scoring.plugins.columns import score_learned, with_learned
from tqd_jax.scoring.plugins.scorers import load_scorers
from tqd_jax.scoring.row import Settings
from tqd_jax.scoring.store import RowStore
from tqd_jax.scoring.table import SCHEMA, load_maps, rows_of, save_maps, write_scores
from tqd_jax.scoring.visual.niqe_model import load
from tqd_jax.timesteps import quality as law
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.cores import cores
from transfer_jax.runtime.progress import Progress

CLIPS = flags.DEFINE_string('clips', None, 'a folder, manifest (.parquet, .csv, .jsonl), list (.txt) or video; or name=path,name=path')
OUTPUT = flags.DEFINE_string('output', 'scores.parquet', 'the table to write; its page and files lie beside it')
STORE = flags.DEFINE_string('store', None, 'where measured rows are kept, on a local disk; OUTPUT.store by default')
WORKERS = flags.DEFINE_integer('workers', cores(), 'processes; 0 measures in this one', lower_bound=0)
SCORES = flags.DEFINE_list('scores', [], 'files of scores that other tools have given, instead of or beside measuring (docs/importing.md)')
TOOL = flags.DEFINE_string('tool', None, 'the tool that --scores are of, where their columns do not tell')
FLOW = flags.DEFINE_enum('flow', 'dis', list(FLOWS), 'optical flow')
NIQE = flags.DEFINE_string('niqe', None, 'a NIQE model of your own frames, by python -m tqd_jax.scoring.visual.niqe_model')
CODEC = flags.DEFINE_bool('codec', False, "measure the length of the codec's own motion vectors too")
LEAST = flags.DEFINE_float('least_codec_motion', 0.0, 'a cheap first pass: clips whose codec moves less get a reason', lower_bound=0)
SCORERS = flags.DEFINE_list('scorers', [], 'learned scorers, module:factory or module:factory=FILE, run in batches on the accelerator')
BATCH = flags.DEFINE_integer('batch', 8, 'clips that a learned scorer sees at a time', lower_bound=1)
NORMALISER = flags.DEFINE_string('normaliser', 'rank', 'scores -> mq, vq: rank, minmax, zscore, or a normaliser.json of another library')
LAW = flags.DEFINE_enum('law', 'beta', list(law.LAWS), 'the timestep law that the page shows')
TIMEOUT = flags.DEFINE_float('timeout', 300.0, 'seconds that one clip may take', lower_bound=1)
MEMORY = flags.DEFINE_float('memory_gb', 4.0, 'GB that one process may take', lower_bound=0.5)
LIMITS = {field.name: flags.DEFINE_integer(field.name, field.default, 'limit of a clip: see tqd_jax.clips.container.Limits', lower_bound=1)
          for field in dataclasses.fields(Limits)}
BEAM = flags.DEFINE_string('beam', '', "options of Apache Beam, as '--runner=...': measures on a cluster (docs/scoring.md)")
SCRATCH = flags.DEFINE_string('scratch', None, 'with --beam: a folder or URL that all workers reach; OUTPUT.scratch by default')
RETRY = flags.DEFINE_bool('retry', False, 'ask again for clips that could not be read, or not in time')
REPORT = flags.DEFINE_bool('report', True, 'write quality.html')


def main(argv):
    """Scores, writes, reports; a user's error is one line on stderr and code 2."""
    logging.set_verbosity(logging.WARNING)  # JAX tells at length which accelerators are not there
    try:
        if argv[1:]:
            raise UserError(f'{argv[1]!r} is no flag: flags are written --name=value; --help lists them')
        run()
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except (OSError, sqlite3.Error) as error:  # a full disk, a store that is gone
        print(f'error: {" ".join(str(error).split())} ({OUTPUT.value}, or what lies beside it); the same command goes on', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        sys.exit(130)


def run():
    """The whole job of the flags. Raises UserError before anything is measured where they cannot be followed."""
    fitted, settings, table = normaliser_of(NORMALISER.value), settings_of(), clips_table(CLIPS.value, SCORES.value, TOOL.value)
    own = [] if 'scorer_version' in table.column_names else table.column_names
    scorers, store = load_scorers(SCORERS.value, taken=(*SCHEMA.names, *own)), prepared_store(settings.version)
    table, rows = measured(table, store, settings)
    for scorer in scorers:
        with shown(scorer.name) as progress:
            none = score_learned(scorer, rows(), store, batch=BATCH.value, workers=max(1, WORKERS.value), progress=progress,
                                 limits=settings.limits, retry=RETRY.value)
        for clip, why in itertools.islice(none.items(), 1):
            print(f'{scorer.name}: {len(none)} clips have no value; {clip}: {why}')
    more = tuple(column for scorer in scorers for column in scorer.columns)
    maps, scored = write_scores(OUTPUT.value, table, lambda: with_learned(scorers, rows(), store), fitted, more)
    tell(len(table), scored, maps)


def measured(table, store, settings):
    """(the table, a function that gives an iterator of its rows): as written before, as given, or measured where they must be."""
    if reusable(table, settings.version) and not RETRY.value:
        return table.drop_columns([name for name in ('mq', 'vq') if name in table.column_names]), functools.partial(rows_of, table)
    table = unmeasured(table)
    paths = table['clip'].to_pylist()
    if {'motion', 'visual'} <= set(table.column_names):
        return table, functools.partial(given_rows, paths)
    measure(paths, store, settings)
    axis, rows = {'motion', 'visual'} & set(table.column_names), functools.partial(score.rows, paths, store, settings)
    return table, (lambda: marked(rows(), *axis)) if axis else rows


def prepared_store(version):
    """Where measured rows are kept, once it and the output's folder are there. Raises UserError where they cannot be written."""
    store, output = STORE.value or f'{OUTPUT.value}.store', OUTPUT.value
    if places.is_remote(store):
        raise UserError(f'--store: {store} is a URL; measured rows are kept on a local disk, so name a file there')
    if places.is_remote(output):
        places.check_protocols([output])
    if os.path.isdir(output):
        raise UserError(f'--output={output} is a folder; name a file, such as {os.path.join(output, "scores.parquet")}')
    try:
        for path in [store] if places.is_remote(output) else [store, output]:
            pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=pathlib.Path(path).parent):
                pass  # hours before the table is written
        with RowStore(store, version):
            return store
    except (OSError, sqlite3.Error) as error:
        raise UserError(f'measured rows cannot be kept in {store}, or {output} not be written ({error})') from error


def given_rows(paths):
    """Rows of clips whose scores are given: nothing of them is measured, and their id is that of a path and of its file's size and time."""
    key = lambda path: hashlib.sha256(f'{path} {score.stamp(path)}'.encode()).hexdigest()[:32]
    return ({'clip': path, 'id': key(path), 'scorer_version': GIVEN} for path in paths)


def measure(paths, store, settings):
    """Fills the store."""
    if RETRY.value:
        with RowStore(store, settings.version) as known:
            known.forget_unread()
    with shown('score') as progress:
        score.score_clips(paths, store, settings, measure=executor(store, settings), progress=progress)


def executor(store, settings):
    """What measures, as score.score_clips wants it: None for this process, else functools.partial of in_beam or in_processes."""
    common = {'settings': settings, 'store': store, 'timeout': TIMEOUT.value, 'memory': int(MEMORY.value * 2**30)}
    if BEAM.value:
        from tqd_jax.scoring.beam import in_beam
        scratch = SCRATCH.value or f'{OUTPUT.value}.scratch'
        return functools.partial(in_beam, options=BEAM.value, scratch=scratch, **common)
    return functools.partial(score.in_processes, workers=WORKERS.value, **common) if WORKERS.value else None


@contextlib.contextmanager
def shown(label):
    """A function of (done, total) that shows progress."""
    bars = []

    def progress(done, total):
        if not bars:
            bars.append(Progress(total, label=label, unit='clip', process=0))
        bars[0].update(done - bars[0].count)

    yield progress
    for bar in bars:
        bar.close()


def settings_of():
    """The Settings of the flags, their files looked at."""
    if NIQE.value:
        load(NIQE.value)
    limits = Limits(**{name: flag.value for name, flag in LIMITS.items()})
    return Settings(flow=FLOW.value, niqe=NIQE.value, codec=CODEC.value, least_codec_motion=LEAST.value, limits=limits)


def normaliser_of(name):
    """A kind, or the fitted {'motion', 'visual'} of a file."""
    if name in KINDS:
        return name
    try:
        return load_maps(name)
    except (OSError, ValueError) as error:
        raise UserError(f'--normaliser={name} is neither {", ".join(KINDS)} nor a normaliser.json ({error})') from None


def tell(clips, scored, maps):
    """Writes what lies beside the table, and says where everything is."""
    output = OUTPUT.value
    print(f'{scored} of {clips} clips scored: {output}' + (f'; {clips - scored} have a reason' if scored < clips else ''))
    if places.is_remote(output):
        return
    unread = pa.dataset.dataset(output).count_rows(filter=pa.compute.field('id').is_null() & pa.compute.field('reason').is_valid())
    if unread:
        print(f'{unread} could not be read, or not in time: --retry asks again')
    beside = pathlib.Path(output).parent
    save_maps(beside / 'normaliser.json', maps)
    if REPORT.value:
        write_quality_report(output, beside / 'quality.html', law=law.LawConfig(kind=LAW.value), workers=max(1, WORKERS.value))
        print(f'report: {beside / "quality.html"}')


if __name__ == '__main__':
    app.run(main)
