"""Other solvers of min x'A x / 2 - b'x over x >= 0, each from a problem in its own form, made beforehand, to x and seconds."""
import json
import subprocess
import sys
import time

import clarabel
import daqp
import jax
import numpy as np
import quadprog
import scipy.optimize
import scipy.sparse

SECONDS = 2.0  # that one solver may take a round; beyond it fewer problems are solved
CALLS = 100
TIMEOUT = 100.0  # of a solver in its own process


def scaled(sizes, gram):
    """A of unit diagonal and b: minimise x'A x / 2 - b'x over x >= 0; u = b x."""
    root = np.sqrt(sizes)
    core = root[:, None] * gram * root
    c = 1 / np.sqrt(1 + np.diag(core))
    return c[:, None] * (np.eye(len(root)) + core) * c, c * root


def in_daqp(a, b):
    """DAQP's call: it takes bounds as well as constraints, of which there are none."""
    free, upper, lower, sense = np.zeros((0, len(b))), np.full(len(b), 1e30), np.zeros(len(b)), np.zeros(len(b), np.int32)
    return lambda: daqp.solve(a, -b, free, upper, lower, sense)


def make_daqp(a, b):
    call = in_daqp(a, b)
    return timed(lambda: call()[0])


def make_daqp_clock(a, b):
    """By its own clock, factorisation and solving: what a caller of its C code would see."""
    call = in_daqp(a, b)

    def solve():
        x, _, _, info = call()
        return x, info['setup_time'] + info['solve_time']

    return solve


def make_nnls(a, b):
    factor = np.linalg.cholesky(a)
    upper, right = factor.T.copy(), np.linalg.solve(factor, b)
    return timed(lambda: scipy.optimize.nnls(upper, right)[0])


def make_quadprog(a, b):
    eye, zeros = np.eye(len(b)), np.zeros(len(b))
    return timed(lambda: quadprog.solve_qp(a, b, eye, zeros)[0])


def make_clarabel(a, b):
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    matrix, eye = scipy.sparse.triu(scipy.sparse.csc_matrix(a), format='csc'), scipy.sparse.csc_matrix(-np.eye(len(b)))
    zeros, cones = np.zeros(len(b)), [clarabel.NonnegativeConeT(len(b))]
    return timed(lambda: np.array(clarabel.DefaultSolver(matrix, -b, eye, zeros, cones, settings).solve().x))


def timed(solve):
    """solve with its seconds."""
    def run():
        start = time.perf_counter()
        x = solve()
        return x, time.perf_counter() - start

    return run


def make_osqp(a, b):
    import osqp
    matrix, eye = scipy.sparse.triu(a, format='csc'), scipy.sparse.eye(len(b), format='csc')

    def solve():
        problem = osqp.OSQP()
        problem.setup(matrix, -b, eye, np.zeros(len(b)), np.full(len(b), np.inf), verbose=False, eps_abs=1e-8, eps_rel=1e-8, polishing=True)
        return problem.solve(raise_error=False).x

    return timed(solve)


def make_cvxpy(sources):
    """One parametrised problem, compiled once: A = L L', so that it is a sum of squares in L'x."""
    import cvxpy
    x, factor, linear = cvxpy.Variable(sources, nonneg=True), cvxpy.Parameter((sources, sources)), cvxpy.Parameter(sources)
    problem = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(factor @ x) / 2 - linear @ x))

    def make(a, b):
        upper = np.linalg.cholesky(a).T

        def solve():
            factor.value, linear.value = upper, b
            problem.solve(solver=cvxpy.CLARABEL)
            return x.value

        return timed(solve)

    return make


PEERS = {'DAQP': make_daqp, 'DAQP, own clock': make_daqp_clock, 'nnls': make_nnls, 'quadprog': make_quadprog, 'Clarabel': make_clarabel}
ALONE = ('OSQP', 'CVXPY', 'qpax')  # in a process of its own each


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
    x = np.asarray(x, np.float64)
    return float(x @ a @ x / 2 - b @ x)
