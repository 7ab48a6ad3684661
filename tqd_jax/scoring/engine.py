"""Measures many clips: each content once, in processes that a bad clip may end, resumable at any moment."""
import contextlib
import functools
import itertools
import multiprocessing
import os
import resource
import signal
import sys
import threading
import types
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait

import cv2
import pebble

from tqd_jax.clips.places import stamp
from tqd_jax.scoring.row import Settings, measured_row
from tqd_jax.scoring.store import RowStore

BLAS_THREADS = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')  # each library reads its own as it is loaded
AHEAD = 3  # clips that are scheduled for every process: enough to keep it busy, and few, so that memory does not grow with the library


def score_clips(paths, store, settings=Settings(), *, measure=None, progress=lambda done, total, stored=False: None, stop=None):
    """Measures what `store` (the path of a RowStore's file) does not know of `paths`, each there once; rows() then gives their rows.

    measure: an iterator of (path, row) of an iterator of paths, in any order: measured here where it is None, or see in_processes. A run
    that was killed goes on with what is missing; memory does not grow with the number of clips.
    stop: a StopRequest, or None; no clip is begun after a request.
    """
    measure = measure or functools.partial(in_this_process, settings=settings, store=store)
    with RowStore(store, settings.version) as database:
        done, begun = 0, {}  # stamps from before a file was read: one that changes meanwhile is measured anew

        def missing():
            nonlocal done
            for path in paths:
                if stop is not None and stop.requested:
                    return
                now = stamp(path)
                if database.row(path, now) is None:
                    begun[path] = now
                    yield path
                else:
                    done += 1
                    progress(done, len(paths), stored=True)

        for path, row in measure(missing()):
            database.add(path, begun.pop(path), row or {'reason': 'its row was lost on the way'})
            done += 1
            progress(done, len(paths))


def rows(paths, store, settings=Settings()):
    """Yields the row of each path in order: {'clip', 'scorer_version', 'id', ...}, with 'reason' where it could not be scored."""
    with RowStore(store, settings.version) as database:
        for path in paths:
            row = database.row(path, stamp(path)) or {'reason': 'changed while it was measured: start again'}
            yield {'clip': path, 'scorer_version': settings.version, **row}


def in_this_process(paths, settings, store, measure=measured_row):
    """(path, row) of every path, one after the other; a clip that hangs or crashes is not survived."""
    with RowStore(store, settings.version) as database:
        for path in paths:
            yield path, measure(path, settings, database.has)


def in_processes(paths, settings, store, *, workers, timeout=300.0, memory=4 * 2**30, measure=measured_row, signalled=True):
    """(path, row) of every path as they come, from `workers` processes; a row says so where a clip took longer than `timeout` s.

    A clip may take `memory` bytes; one that asks for more, hangs or crashes ends as a reason, and its process is replaced.
    """
    with isolated(settings, store, workers=workers, timeout=timeout, memory=memory, measure=measure, signalled=signalled) as schedule:
        pending, paths = {}, iter(paths)
        while True:
            pending |= {schedule(path): path for path in itertools.islice(paths, AHEAD * workers - len(pending))}
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                yield pending.pop(future), row_of(future, timeout)


@contextlib.contextmanager
def isolated(settings, store, *, workers, timeout, memory, measure, signalled=True):
    """A context that gives a function: path -> future of its row, for row_of, from one of `workers` processes as in_processes has them.

    store: None where the processes cannot reach it; then a content that is known already is measured again. signalled: a signal to the
    whole group, as of Ctrl-C, ends the processes too; False where it is a request to stop, and no fault of the clips that they measure.
    """
    begin = functools.partial(_begin, store, settings, memory, signalled)
    with pebble.ProcessPool(max_workers=workers, context=_LightContext(), initializer=begin) as pool:
        try:
            yield lambda path: pool.schedule(_measure, args=[path, settings, measure], timeout=timeout)
        except BaseException:  # leaving the pool would wait for all that is still queued
            pool.stop()
            raise


def row_of(future, timeout):
    """The row that a future of isolated brings, or the reason why its process brought none."""
    try:
        return future.result()
    except TimeoutError:
        return {'reason': f'took longer than {timeout:g} s to read and measure'}
    except pebble.ProcessExpired as error:
        return {'reason': f'its decoding process died (exit code {error.exitcode})'}


def _begin(store, settings, memory, signalled):
    """In a new process: one thread for OpenCV, `memory` for its data, its own access to the store, if there is one, and signals or none."""
    cv2.setNumThreads(1)
    if not signalled:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    _measure.has_row = RowStore(store, settings.version).has if store else lambda key: False


def _measure(path, settings, measure):
    return measure(path, settings, _measure.has_row)


@contextlib.contextmanager
def _one_blas_thread():
    """A context in which new processes load their libraries of linear algebra with one thread, unless the user says otherwise."""
    ours = [name for name in BLAS_THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, '1'))
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


class _LightProcess(multiprocessing.context.SpawnProcess):
    """Spared what the main module imports: jax alone would take longer than some hundred clips. Algebra has one thread in it.

    With a thread a core in every process, the threads of the small matrices of 'niqe' wait for each other for a tenth of the time.
    """
    one_at_a_time = threading.Lock()  # a cluster's worker has a pool in each thread

    def start(self):
        with self.one_at_a_time, _one_blas_thread():
            main, sys.modules['__main__'] = sys.modules['__main__'], types.ModuleType('__main__')
            try:
                super().start()
            finally:
                sys.modules['__main__'] = main


class _LightContext(multiprocessing.context.SpawnContext):
    Process = _LightProcess
