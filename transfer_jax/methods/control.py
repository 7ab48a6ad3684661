"""What OTQMS and UOWQ share: policies from what was measured, once (static) or again and again while the fit goes on (dynamic)."""
import jax.numpy as jnp

from transfer_jax.methods.protocol import outcome
from transfer_jax.solution import check


def static(lab, name, decide, measured, seconds=0.0, more=()):
    """The Outcome of a fit under the policy that decide(measured) -> (weights, quantities) [S, K] gives."""
    fitted = lab.fit(name, lab.policy(*decide(measured)))
    return outcome(lab, fitted, shared=(*fit_shared(lab), *more), control_seconds=seconds)


def dynamic(lab, name, decide, measure=None):
    """The Outcome of a fit whose policy is decided anew on a schedule, with J at where the fit stands: the fit goes on from its parameters,
    and the policy goes `damping` of the way. G's differences stay those of the fits to one domain each: a fit that already leans to
    a source cannot see how far that source has moved it. measure(params, step) -> Measured may say otherwise.
    """
    first, seconds = lab.measure_sources()
    again = measure or (lambda params, step: lab.measure(params, first.shortfall) if step else first)

    def controller(params, policy, step):
        wanted = lab.policy(*decide(again(params, step)))
        part = lab.control.damping if step else 1.0
        move = lambda old, new: old + part * (new - old)
        return policy.replace(weights=move(policy.weights, wanted.weights),
                              quantities=jnp.round(move(policy.quantities, wanted.quantities)))
    fitted = lab.fit(name, lab.policy(*decide(first)), controller=controller)
    return outcome(lab, fitted, shared=fit_shared(lab), control_seconds=seconds)


def fit_shared(lab):
    """The fits that measuring takes."""
    by_folds = () if lab.folds is None else (lab.folds.fit_alone(), *lab.folds.fit_trials().values())
    return lab.fit_singles(), lab.fit_alone(), lab.fit_middle(), *by_folds


def weights_of(measured):
    """UOWQ's decision: weights, and all samples."""
    return check(measured.weights()).weights, None


def amounts_of(measured):
    """OTQMS's decision: weight 1, and whole numbers of samples."""
    return 1.0, check(measured.amounts()).quantities
