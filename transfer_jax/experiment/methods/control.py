"""The two schedules of OTQMS and UOWQ: the policy from a Measurement is decided once (static) or repeatedly in the fit (dynamic)."""
import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.lab.measure import Measurement
from transfer_jax.experiment.methods.protocol import Outcome, history_of, outcome
from transfer_jax.experiment.training.fit import Fit
from transfer_jax.solver.solution import check

Decide = Callable[[Measurement], tuple[Any, Any]]


def static(lab: Lab, name: str, decide: Decide, measurement: Measurement, seconds: float, more: tuple[Fit, ...] = ()) -> Outcome:
    """The Outcome of a fit under the policy of decide(measurement) -> (weights, quantities) [S, K]. more: other fits of the decision."""
    final_fit = lab.fit(name, lab.policy(*decide(measurement)))
    return outcome(lab, final_fit, shared=(*fit_shared(lab), *more), control_seconds=seconds)


def dynamic(lab: Lab, name: str, decide: Decide, measure: Callable[[Any, int], Measurement] | None = None) -> Outcome:
    """The Outcome of a fit whose policy is decided again on a schedule, and moves the part `damping` of the way to each new decision.

    measure(params, step) -> Measurement; None: J is taken at the fit's current parameters, and the parameter differences of G are those
    of the fits to one domain each, because a fit that a source has moved already does not show how far.
    """
    first, seconds = lab.measure_sources()
    measure = measure or (lambda params, step: lab.measure(params, first.shortfall) if step else first)
    final_fit = lab.fit(name, lab.policy(*decide(first)), controller=_controller(lab, decide, measure))
    return outcome(lab, final_fit, shared=fit_shared(lab), control_seconds=seconds)


def _controller(lab, decide, measure):
    """controller(params, policy, step) of a fit: it goes the part `damping` of the way to decide(measure(params, step))."""
    def controller(params, policy, step):
        new_policy = lab.policy(*decide(measure(params, step)))
        part = lab.control.damping if step else 1.0
        move = lambda old, new: old + part * (new - old)
        return policy.replace(weights=move(policy.weights, new_policy.weights),
                              quantities=jnp.round(move(policy.quantities, new_policy.quantities)))
    return controller


def settled(lab: Lab, name: str, decide: Decide) -> Outcome:
    """The Outcome of a fit under the policy that is decided at the end of another, whose policy changes as in dynamic."""
    first, seconds = lab.measure_sources()
    measure = lambda params, step: lab.measure(params, first.shortfall) if step else first
    changing = lab.fit(f'{name}_decisions', lab.policy(*decide(first)), controller=_controller(lab, decide, measure))
    last = lab.policy(*decide(lab.measure(changing.params, first.shortfall)))
    out = outcome(lab, lab.fit(name, last), shared=(*fit_shared(lab), changing), control_seconds=seconds)
    return dataclasses.replace(out, history=(*history_of(lab, changing), *({'step': changing.record['step'], 'weights': out.weights,
                                                                           'quantities': out.quantities},)))


def fit_shared(lab: Lab) -> tuple[Fit, ...]:
    """The fits that a Measurement needs, trained or from the memo."""
    by_folds = () if lab.folds is None else (lab.folds.fit_alone(), *lab.folds.fit_trials().values())
    return lab.fit_singles(), lab.fit_alone(), lab.fit_middle(), *lab.fits_of_noise(), *by_folds


def weights_of(measurement: Measurement) -> tuple[jax.Array, None]:
    """UOWQ's decision: weights, and all samples."""
    return check(measurement.weights()).weights, None


def amounts_of(measurement: Measurement) -> tuple[float, jax.Array]:
    """OTQMS's decision: weight 1, and whole numbers of samples."""
    return 1.0, check(measurement.amounts()).quantities
