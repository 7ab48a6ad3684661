"""python -m MODULE, but that the program sends itself a signal when FOLDER/metrics.jsonl has a step: a stop or a kill at an exact place.

    python tests/helpers/signalled.py SIGNAL FOLDER STEP MODULE [flags]
"""
import contextlib
import os
import pathlib
import sys

from alone import one_device
from quick import run_module

from transfer_jax.runtime.metrics import FILE, Metrics
from transfer_jax.runtime.saves.checkpoint import Checkpoints


def main(number, folder, step):
    """Metrics.write, and the signal after the line of that step, when the checkpoints of earlier steps are whole."""
    write, begin, file = Metrics.write, Checkpoints.begin, pathlib.Path(folder) / FILE

    def signalled(metrics, at, scalars):
        write(metrics, at, scalars)
        if at == int(step) and file.exists() and os.path.samefile(metrics._file.fileno(), file):
            os.kill(os.getpid(), int(number))

    def whole(checkpoints, *arguments):
        begin(checkpoints, *arguments)
        checkpoints.finish()
    Metrics.write, Checkpoints.begin = signalled, whole


if __name__ == '__main__':
    number, folder, step, module, *rest = sys.argv[1:]
    main(number, folder, step)
    with one_device() if module == 'tqd_jax.main' else contextlib.nullcontext():
        run_module(module, rest)
