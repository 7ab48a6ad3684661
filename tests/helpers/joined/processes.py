"""A program as several processes of one job, each with so many CPU devices."""
import os
import pathlib
import socket
import subprocess
import sys

import quick

ROOT = pathlib.Path(__file__).parents[3]


def start(command, *, processes=2, devices=2, wrappers=None):
    """The Popens of `command`, a module and its flags. wrappers: {number of a process: words before the module, in place of quick.py}."""
    port = free_port()
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': str(devices),
                   'PYTHONPATH': os.pathsep.join([str(ROOT), str(ROOT / 'tests/helpers'), str(ROOT / 'tests/helpers/joined')])}
    join = [f'--coordinator=localhost:{port}', f'--processes={processes}'] if processes > 1 else []
    return [subprocess.Popen([sys.executable, *(wrappers or {}).get(process, [quick.__file__]), *command, *join,
                              *([f'--process={process}'] if join else [])],
                             env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for process in range(processes)]


def ends(programs, seconds=300):
    """[(exit code, stdout, stderr)] of Popens."""
    results = []
    for program in programs:
        try:
            out, err = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            for other in programs:
                other.kill()
            raise
        results.append((program.returncode, out, err))
    return results


def free_port():
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        return probe.getsockname()[1]
