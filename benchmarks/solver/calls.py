"""Calls of the other solvers: one problem after the other, or in a process of their own where a solver may hang."""
import json
import subprocess
import sys
import time

import jax
import numpy as np

from benchmarks.solver.peers import make_cvxpy, make_osqp

SECONDS = 2.0  # of one solver in a round; after them no further problem is solved
CALLS = 100
TIMEOUT = 100.0  # of a solver in its own process


def one_by_one(make, forms):
    """(seconds a problem, objectives) of the problems, CALLS calls at least, as far as SECONDS allow."""
    spent, answers, allowed = [], [], time.perf_counter() + SECONDS
    for a, b in forms * -(-CALLS // len(forms)):
        x, seconds = make(a, b)()
        spent.append(seconds)
        if len(answers) < len(forms):
            answers.append(value(a, b, np.maximum(x, 0)))
        if time.perf_counter() > allowed:
            break
    return float(np.mean(spent)), answers


def in_own_process(name, sources, batch):
    """(seconds a problem, objectives) of a solver that may hang: NaN and none then."""
    command = [sys.executable, '-m', 'benchmarks.solver', '--alone', name, '--sources', str(sources), '--batches', str(batch)]
    try:
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT).stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return float('nan'), []


def alone(name, forms):
    """Prints what in_own_process reads."""
    if name == 'qpax':
        return print(json.dumps(by_qpax(forms)))
    make = make_osqp if name == 'OSQP' else make_cvxpy(len(forms[0][1]))
    one_by_one(make, forms[:2])  # untimed: whatever is set up once
    print(json.dumps(one_by_one(make, forms)))


def by_qpax(forms):
    """qpax under jit and vmap on all of the problems."""
    import jax.numpy as jnp
    import qpax
    a, b = (jnp.stack([form[part] for form in forms]) for part in (0, 1))
    size = b.shape[1]
    none, nothing = jnp.zeros((0, size)), jnp.zeros(0)
    solve = jax.jit(jax.vmap(lambda a, b: qpax.solve_qp(a, -b, none, nothing, -jnp.eye(size), jnp.zeros(size))[0]))
    solve(a, b).block_until_ready()
    start = time.perf_counter()
    x = np.asarray(solve(a, b))
    return (time.perf_counter() - start) / len(forms), [value(*form, np.maximum(x[i], 0)) for i, form in enumerate(forms)]


def value(a, b, x):
    """The objective x'A x / 2 - b'x in float64."""
    x = np.asarray(x, np.float64)
    return float(x @ a @ x / 2 - b @ x)
