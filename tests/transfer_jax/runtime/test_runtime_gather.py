"""Two real processes tell each other lists, and an error of one ends both."""
import json
import socket
import subprocess
import sys

import pytest

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import gathered, of_first, together

PROGRAM = '''
import json, sys
import jax
jax.distributed.initialize(f'localhost:{sys.argv[1]}', 2, int(sys.argv[2]))
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import gathered, of_first, together
own = jax.process_index()

def check(number, failing):
    if own in failing:
        raise UserError(f'fault {number}')
    return number

def told(failing):
    try:
        return together(check, own + 10, failing)
    except UserError as error:
        return str(error)

lists = gathered([{'rank': own, 'text': 'é' * (1 + 30 * own)}] * (2 * own)), gathered([]), of_first([None, own])
print(json.dumps([lists, told(()), told((1,)), told((0, 1))]))
'''


def test_two_processes_gather_and_fail_together(program):
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = str(free.getsockname()[1])
    environment = {**program.environment, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '1'}
    both = [subprocess.Popen([sys.executable, '-c', PROGRAM, port, str(rank)], env=environment, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE) for rank in range(2)]
    try:
        answers = [process.communicate(timeout=60) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], answers
    lists = [[{'rank': 1, 'text': 'é' * 31}] * 2, [], [None, 0]]
    one, two = (json.loads(out.splitlines()[-1]) for out, _ in answers)
    assert one == [lists, 10, 'process 1: fault 11', 'process 0: fault 10']
    assert two == [lists, 11, 'process 1: fault 11', 'process 0: fault 10']


def test_one_process_is_alone():
    assert gathered([1, None]) == [1, None] and of_first('a') == 'a' and together(divmod, 7, 2) == (3, 1)
    with pytest.raises(UserError, match=r'^a fault$'):
        together(fail)


def fail():
    """Fails."""
    raise UserError('a fault')
