"""What OTQMS and UOWQ share: a policy from a Measurement, decided once (static) or repeatedly during the fit (dynamic)."""
import jax.numpy as jnp

from transfer_jax.experiment.methods.protocol import outcome
from transfer_jax.solver.solution import check


def static(lab, name, decide, measurement, seconds=0.0, more=()):
    """The Outcome of a fit under the policy that decide(measured) -> (weights, quantities) [S, K] gives."""
    final_fit = lab.fit(name, lab.policy(*decide(measurement)))
    return outcome(lab, final_fit, shared=(*fit_shared(lab), *more), control_seconds=seconds)


def dynamic(lab, name, decide, measure=None):
    """The Outcome of a fit whose policy is decided anew on a schedule, with J at the current parameters of the fit; the policy
    moves the part `damping` of the way to the new one. The parameter differences in G stay those of the fits to one domain each: a fit
    that a source has already moved cannot show how far it was moved. measure(params, step) -> Measurement replaces this.
    """
    first, seconds = lab.measure_sources()
    again = measure or (lambda params, step: lab.measure(params, first.shortfall) if step else first)

    def controller(params, policy, step):
        new_policy = lab.policy(*decide(again(params, step)))
        part = lab.control.damping if step else 1.0
        move = lambda old, new: old + part * (new - old)
        return policy.replace(weights=move(policy.weights, new_policy.weights),
                              quantities=jnp.round(move(policy.quantities, new_policy.quantities)))
    final_fit = lab.fit(name, lab.policy(*decide(first)), controller=controller)
    return outcome(lab, final_fit, shared=fit_shared(lab), control_seconds=seconds)


def fit_shared(lab):
    """The fits that a Measurement needs, trained or from the memo."""
    by_folds = () if lab.folds is None else (lab.folds.fit_alone(), *lab.folds.fit_trials().values())
    return lab.fit_singles(), lab.fit_alone(), lab.fit_middle(), *by_folds


def weights_of(measurement):
    """UOWQ's decision: weights, and all samples."""
    return check(measurement.weights()).weights, None


def amounts_of(measurement):
    """OTQMS's decision: weight 1, and whole numbers of samples."""
    return 1.0, check(measurement.amounts()).quantities
