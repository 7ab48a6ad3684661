"""Two processes with two devices each: rows by the mesh's order, one decision at one step, one process's error and array everybody's."""
import sys

import jax
import numpy as np
import pytest
from processes import ends, start

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import gathered
from transfer_jax.runtime.parallel.hosts import fetch, first_host
from transfer_jax.runtime.parallel.joined import LOST
from transfer_jax.runtime.parallel.mesh import batch_sharding, local_rows, make_mesh, to_global
from transfer_jax.runtime.parallel.votes import LAG, Votes

THIS = ['tests.transfer_jax.runtime.test_runtime_processes']


def test_a_process_alone():
    mesh = make_mesh()
    assert local_rows(16, mesh) is None and gathered([1, 'a']) == [1, 'a']
    assert [Votes(mesh)(asked) for asked in (False, True)] == [False, True]
    first_host(calls := [].append, 3)
    assert calls.__self__ == [3]
    sharded = jax.device_put(np.arange(8), batch_sharding(mesh))
    np.testing.assert_array_equal(fetch({'a': sharded})['a'], np.arange(8))


def test_two_processes():
    results = ends(start([*THIS, 'right'], devices=2), 100)
    assert [code for code, _, _ in results] == [0, 0], results


@pytest.mark.parametrize('what, code, line', [('fault', 2, 'error: process 0: bad file\n'), ('bug', 1, 'ZeroDivisionError')])
def test_an_error_ends_both(what, code, line):
    results = ends(start([*THIS, what], devices=1), 100)
    assert results[0][0] == code and line in results[0][2], results
    assert results[1][0] != 0 and (what == 'bug' or line in results[1][2]), results


def test_a_process_that_is_killed_ends_the_other_with_a_line():
    (code, _, err), _ = ends(start([*THIS, 'kill'], devices=1), 100)
    assert code == 2 and f'error: {LOST}\n' in err


def right():
    """Asserts, in each of two processes."""
    rank, devices = jax.process_index(), np.array(jax.devices())
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [3, 0, 2, 1]):  # not always process by process
        mesh = make_mesh(2, 2, devices=devices[order])
        rows = local_rows(8, mesh)
        owner = [devices[order][place // 2].process_index for place in range(8)]
        assert rows == tuple(np.flatnonzero(np.array(owner) == rank)), (order, rows)
        batch = to_global({'clip': np.array(rows, np.int32)}, mesh)
        np.testing.assert_array_equal(fetch(batch)['clip'], np.arange(8))
    for order, places in (([0, 1, 2, 3], [[0], [1]]), ([0, 2, 1, 3], [[0, 1], [0, 1]]), ([3, 0, 2, 1], [[0, 1], [0, 1]])):
        mesh = make_mesh(2, 1, 2, devices=devices[order])  # pairs of devices that share rows, also of two processes
        rows = local_rows(4, mesh)
        assert rows == tuple(row for place in places[rank] for row in (2 * place, 2 * place + 1)), (order, rows)
        np.testing.assert_array_equal(fetch(to_global({'clip': np.array(rows, np.int32)}, mesh))['clip'], np.arange(4))
    mesh = make_mesh(1, 1, 4, devices=devices)  # every process has the one row
    assert local_rows(1, mesh) == (0,) and fetch(to_global(np.ones((1, 2), np.int32), mesh)).shape == (1, 2)
    votes, asked = Votes(mesh), [False, True] if rank else [False]
    decisions = [votes(vote) for vote in [*asked, *[False] * (LAG + 4 - len(asked))]]
    assert decisions == [step == 1 + LAG for step in range(LAG + 4)]
    assert gathered([rank, 'é']) == [0, 'é', 1, 'é']
    try:
        first_host(refuse)
    except UserError as error:
        assert 'bad file' in str(error)
    else:
        raise AssertionError('the error of the first process is not this one\'s')


def refuse():
    raise UserError('bad file')


def kill():
    """Process 1 dies before a collective."""
    import os
    import signal
    gathered([1])
    if jax.process_index() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    fetch(to_global(np.zeros(2, np.int32), make_mesh()))


def bug():
    """Process 0 has one."""
    return 1 / 0 if jax.process_index() == 0 else gathered([1])


if __name__ == '__main__':
    from absl import flags

    from transfer_jax.runtime.app import define_join_flags, join_flags
    from transfer_jax.runtime.parallel.joined import run_joined
    define_join_flags()
    what = flags.FLAGS(sys.argv)[1]
    run_joined({'right': right, 'fault': lambda: first_host(refuse), 'bug': bug, 'kill': kill}[what], **join_flags())
