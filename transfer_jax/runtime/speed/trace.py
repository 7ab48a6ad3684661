"""A trace of jax.profiler of given steps."""
import os
from typing import Any

import jax

from transfer_jax.runtime.files import upload_folder
from transfer_jax.runtime.paths import is_remote, path_of, remove_folder, scratch_of


class Trace:
    """Records the steps first ... last of a loop into a folder, each process its own devices.

        trace = Trace(folder, (100, 103))
        for step in ...:
            trace.before(step, state)
            state = ...
        trace.after(step, state)
    """

    def __init__(self, folder: str | os.PathLike, steps: tuple[int, int] | None):
        """steps: (first, last) in the loop's count; None: no trace."""
        self._folder, self._steps, self._first = path_of(folder), steps or (0, -1), None
        own = self._folder / str(jax.process_index())  # other processes of this machine may be writing yet when this one has ended
        self._local = scratch_of(own) if is_remote(self._folder) else self._folder

    def before(self, step: int, state: Any) -> None:
        """Starts the trace before its first step and ends it after its last; there it waits for `state`, what the step before made."""
        first, last = self._steps
        if self._first is None and first <= step <= last:
            jax.block_until_ready(state)
            jax.profiler.start_trace(os.fspath(self._local))
            self._first = step
        elif self._first is not None and step > last:
            self._stop(state, last)

    def after(self, step: int, state: Any) -> None:
        """Ends a trace that runs at the loop's end, after this step."""
        if self._first is not None:
            self._stop(state, step)

    def _stop(self, state, last):
        jax.block_until_ready(state)
        jax.profiler.stop_trace()
        if is_remote(self._folder):
            upload_folder(self._local, self._folder)
            remove_folder(self._local)
        print(f'trace of steps {self._first} to {last}: {self._folder}; to open it: pip install xprof, then xprof --logdir={self._folder}',
              flush=True)
        self._first = None
