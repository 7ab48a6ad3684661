"""A program as one of the processes of a job: it joins the others, answers signals, and ends as they do."""
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import jax

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import wait_for_all
from transfer_jax.runtime.parallel.join import is_one_of_several, join
from transfer_jax.runtime.parallel.tell import tell_all
from transfer_jax.runtime.progress import StopRequest

GRACE = 10.0  # s that a process with an error waits for others that may have the same one
SIGNS_OF_LOSS = 'heartbeat timeout', 'Connection closed by peer', 'Gloo', 'coordination service', 'UNAVAILABLE', 'Connection reset'
LOST = 'another process of this job ended or cannot be reached; its own message says why. Start the same command on all hosts again: it ' \
       'goes on from the last save'


def run_joined(program: Callable[[], Any], **flags: Any) -> None:
    """Calls program() in a process that has joined the others of its job; alone, it only calls it. flags: of join.

    Among several, SIGTERM and Ctrl-C are requests to stop from the first moment on, the first process alone prints, and the end waits for
    all. An error ends this process at once, with one line and code 2 (a UserError, or the loss of another process) or a traceback and
    code 1: JAX would wait for the others, which wait for this one. They end when they miss it, after join.HEARTBEAT seconds at most.
    """
    if not is_one_of_several(**flags):
        program()
        return
    with StopRequest() as stop:
        try:
            join(**flags)
            if jax.process_count() > 1:
                _run(program, stop)
                return
        except BaseException as error:
            _leave(error)
    program()  # alone after all: signals are as in any program


def _run(program, stop):
    if jax.process_index() > 0:
        sys.stdout = open(os.devnull, 'w')  # the first process speaks for all; errors are everybody's
    with tell_all(stop):
        program()
    wait_for_all('end')


def _is_loss(error):
    """Whether an error of JAX says that another process is gone."""
    return isinstance(error, jax.errors.JaxRuntimeError | ValueError) and any(word in str(error) for word in SIGNS_OF_LOSS)


def _leave(error):
    """Ends this process with the error's line and code; with the others where they leave too."""
    lost = _is_loss(error)
    line = f'error: {LOST if lost else error}' if lost or isinstance(error, UserError) else ''.join(traceback.format_exception(error))
    print(line, file=sys.stderr, flush=True)
    sys.stdout.flush()
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # they may not come
        if jax.distributed.is_initialized():
            wait_for_all('error', GRACE)
            jax.distributed.shutdown()
    os._exit(2 if line.startswith('error: ') else 1)
