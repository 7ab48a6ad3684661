"""UOWQ (arXiv:2601.10779): every source with all its samples, at the weight that minimises the predicted error."""
from transfer_jax.experiment.lab.choice import choice_of
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods import control
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def chosen(lab: Lab) -> Outcome:
    """The average of the weights of G, multiples of them, one weight for all, and none, by their evidence on folds (lab.choice)."""
    seconds, choice = lab.measure_sources()[1], choice_of(lab)
    shared = control.fit_shared(lab) if lab.folds is None else (*control.fit_shared(lab), *lab.folds.fit_global().values())
    return outcome(lab, lab.fit('uowq', lab.policy(choice.decision)), shared=shared, control_seconds=seconds)


def static(lab: Lab) -> Outcome:
    """The weights of G alone, decided once, before the fit."""
    return control.static(lab, 'uowq_static', control.weights_of, lab.measure_middle(), lab.measure_sources()[1])


def dynamic(lab: Lab) -> Outcome:
    """Weights decided repeatedly during a fit, with the Fisher information at its parameters; the result is a fit under the last decision.

    What a fit decides before it has settled has no part in the result.
    """
    return control.settled(lab, 'uowq_dynamic', control.weights_of)
