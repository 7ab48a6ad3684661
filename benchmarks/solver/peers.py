"""Other solvers of min x'A x / 2 - b'x over x >= 0, each from a problem in its own form to x and seconds."""
import time

import clarabel
import daqp
import numpy as np
import quadprog
import scipy.optimize
import scipy.sparse


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
    """DAQP, timed from Python."""
    call = in_daqp(a, b)
    return timed(lambda: call()[0])


def make_daqp_clock(a, b):
    """DAQP, timed by its own clock: factorisation and solving, as a caller of its C code would see them."""
    call = in_daqp(a, b)

    def solve():
        x, _, _, info = call()
        return x, info['setup_time'] + info['solve_time']

    return solve


def make_nnls(a, b):
    """SciPy's non-negative least squares on the Cholesky factor of A."""
    factor = np.linalg.cholesky(a)
    upper, right = factor.T.copy(), np.linalg.solve(factor, b)
    return timed(lambda: scipy.optimize.nnls(upper, right)[0])


def make_quadprog(a, b):
    """quadprog."""
    eye, zeros = np.eye(len(b)), np.zeros(len(b))
    return timed(lambda: quadprog.solve_qp(a, b, eye, zeros)[0])


def make_clarabel(a, b):
    """Clarabel, with its default tolerances."""
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
    """OSQP with tolerances of 1e-8 and polishing."""
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
