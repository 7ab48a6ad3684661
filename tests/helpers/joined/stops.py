"""The main job as one of several processes, again and again in one start: SIGTERM stops it in one phase after the other.

    python tests/helpers/joined/stops.py STOPS tqd_jax.main [flags]

STOPS: JSON, [{number of a process: phase of phases.py}, ...]. Each stop prints the step that it saved. What the runs do alike is done once.
"""
import contextlib
import json
import pathlib
import signal
import sys

import jax
import once
from jax._src import distributed
from phases import signalled
from quick import quick_to_compile

from tqd_jax import main
from tqd_jax.config import Config
from transfer_jax.runtime.app import run_app
from transfer_jax.runtime.parallel.gather import wait_for_all
from transfer_jax.runtime.parallel.tell import KEY, tell_all
from transfer_jax.runtime.saves.checkpoint import Checkpoints


def stopped_at(stops):
    """main.main, once for each of the stops."""
    def again(config, workdir, mode):
        for phases in stops:
            phase = phases.get(str(jax.process_index()))
            with once.programs_once(), signalled(signal.SIGTERM, phase, 1) if phase else contextlib.nullcontext(), asked_anew():
                main.main(config, workdir, mode)
            print(f'saved: {Checkpoints(pathlib.Path(workdir) / "checkpoints").latest()}', flush=True)
    return again


@contextlib.contextmanager
def asked_anew():
    """Within it a request to stop is told to all; behind it there is none, in no process."""
    request = signal.getsignal(signal.SIGTERM).__self__
    with tell_all(request):
        yield
    wait_for_all('stopped')
    if jax.process_index() == 0:
        distributed.global_state.client.key_value_delete(KEY)
    wait_for_all('again')
    request._requested = request._signalled = False


if __name__ == '__main__':
    stops, module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    with quick_to_compile():
        run_app(stopped_at(json.loads(stops)), Config, ('workdir', 'mode'))
