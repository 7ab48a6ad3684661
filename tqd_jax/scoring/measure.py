"""Which clips of a table must be measured, and the rows of them all: as written before, as given, or measured."""
import contextlib
import dataclasses
import functools
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tqd_jax.clips.listing.paths import is_there
from tqd_jax.clips.strings import Strings
from tqd_jax.scoring import engine
from tqd_jax.scoring.measures import motion_score
from tqd_jax.scoring.store import RowStore, are_there, local_store, share_of
from tqd_jax.scoring.table import SCHEMA, rows_of
from tqd_jax.scoring.versions import (
    GIVEN,
    MARK,
    counts_camera,
    formula_version,
    imported_axes,
    is_foreign,
    is_recast,
    is_scored,
    marked,
    version_for,
    versions_of,
    with_version,
)
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.progress import Progress

AXES = ('motion', 'visual')
GONE = 'there is no such file'


def library_rows(config, table, *, for_training):
    """(the table without what is measured, a function that gives an iterator of its rows in order); fills the store first.

    Rows of the wanted version come as they were written, the others are measured; with config.retry all are looked up in the store.
    Raises UserError where clips that must be measured again are not there, or where given scores and ours would share a column.
    """
    settings, axes = config.settings, imported_axes(table)
    version, foreign = lacking(config, table, for_training=for_training)
    bare = unmeasured(table, axes, keep_ranks=for_training and not config.retry and not is_recast(table, version).any())
    if axes == set(AXES) and foreign.all() and not for_training:
        return bare, functools.partial(_given_rows, Strings.from_arrow(table['clip'].chunks))
    paths = Strings.from_arrow(table['clip'].filter(foreign).chunks)
    if len(paths):
        _check_present(table, version)
        _measure(config, paths)
    fresh = lambda: marked(engine.rows(paths, config.store_path, settings), axes)
    merged = (lambda: _merge(rows_of(table), fresh(), foreign)) if not foreign.all() else fresh
    return bare, lambda: _recast(merged(), version)


def lacking(config, table, *, for_training):
    """(the wanted version of rows, bool [n]: whether the row of a clip is of another one, so that it must be measured)."""
    wanted = formula_version(config.settings.version, camera=config.camera)
    version = version_for(table, wanted, any_settings=for_training)
    return version, np.ones(len(table), bool) if config.retry else is_foreign(table, version)


def measure_share(config, table, process, processes, stop):
    """Measures every `processes`-th clip that training lacks, from number `process` on, into a share of the config's store.

    store.merge_shares adds the shares to the store, where library_rows finds the rows. stop: its `requested` is read before every clip.
    """
    _, foreign = lacking(config, table, for_training=True)
    paths = list(Strings.from_arrow(table['clip'].filter(foreign).chunks))[process::processes]
    with local_store(config.store_path) as store, local_store(share_of(config.store_path, process)) as share:
        found = are_there(store, config.settings.version, ((path, engine.stamp(path)) for path in paths))
        missing = [path for path, there in zip(paths, found, strict=True) if not there]
        _measure(dataclasses.replace(config, store=share), missing, stop)


def unmeasured(table, axes, *, keep_ranks):
    """A table without what write_scores writes: its given scores stay, and with keep_ranks its mq and vq."""
    if not is_scored(table):
        return table
    stay = {'clip', 'scorer_version', *axes, *(('mq', 'vq') if keep_ranks else ())}
    return table.drop_columns([name for name in table.column_names if name in SCHEMA.names and name not in stay])


def _merge(written, measured, foreign):
    """The rows of a table, each from the one iterator or the other."""
    for row, again in zip(written, foreign, strict=True):
        yield next(measured) if again else row


def _recast(rows, version):
    """The rows with motion by the formula of `version`: the camera's counts or not. What another tool gave stays."""
    for row in rows:
        text = row.get('scorer_version')
        if not text or text == GIVEN:
            yield row
            continue
        own = row.get('motion') is not None and f'{MARK}motion' not in text
        score = {'motion': motion_score(row, camera=counts_camera(version))} if own else {}
        yield row | score | {'scorer_version': with_version(text, version)}


def _given_rows(paths):
    """Rows of clips whose scores are given: nothing of them is measured, and their id is that of a path and of its file's size and time.

    A local clip that is not there has a reason and no scores.
    """
    for path in paths:
        if not is_there(path):
            yield {'clip': path, 'scorer_version': GIVEN, 'reason': GONE}
            continue
        identity = hashlib.sha256(f'{path} {engine.stamp(path)}'.encode()).hexdigest()[:32]
        yield {'clip': path, 'id': identity, 'scorer_version': GIVEN}


def _check_present(table, version):
    """Raises UserError where a clip that was scored by another version is not there any more: it would be lost."""
    if not is_scored(table):
        return
    lost = pc.and_(pa.array(is_foreign(table, version)), table['reason'].is_null())
    rows = table.select(['clip', 'scorer_version']).filter(lost)
    gone = [path for path in Strings.from_arrow(rows['clip'].chunks) if not is_there(path)]
    if gone:
        old = ' and '.join(versions_of(rows))
        raise UserError(f'{counted(len(rows), "clip has", "clips have")} rows of scorer version {old}, which must be measured again '
                        'by version '
                        f'{version}, and '
                        f'{len(gone)} of them {"is" if len(gone) == 1 else "are"} not there: {gone[0]}; restore them, or leave them out')


def _measure(config, paths, stop=None):
    settings, store = config.settings, config.store_path
    if config.retry:
        with RowStore(store, settings.version) as database:
            database.forget_unread()
    with progress_bar('score', 'clip') as progress:
        engine.score_clips(paths, store, settings, measure=_executor(config, signalled=stop is None), progress=progress, stop=stop)


def _executor(config, signalled):
    """What measures, as engine.score_clips wants it: None for this process, else functools.partial of in_beam or in_processes."""
    common = {'settings': config.settings, 'store': config.store_path, 'timeout': config.timeout, 'memory': int(config.memory_gb * 2**30)}
    if config.beam:
        from tqd_jax.scoring.beam import in_beam
        scratch = config.scratch or f'{config.output}.scratch'
        return functools.partial(in_beam, options=config.beam, scratch=scratch, **common)
    return functools.partial(engine.in_processes, workers=config.workers, signalled=signalled, **common) if config.workers else None


@contextlib.contextmanager
def progress_bar(label, unit):
    """A context that gives a function of (done, total), which shows progress on stderr without a start of JAX.

    stored: what is done since the last call was in the store already, and is no part of the rate.
    """
    bars = []

    def progress(done, total, stored=False):
        if not bars:
            bars.append(Progress(total, label=label, unit=unit))
        more = done - bars[0].count
        if stored:
            bars[0].skip(more)
        bars[0].update(0 if stored else more)

    yield progress
    for bar in bars:
        bar.close()
