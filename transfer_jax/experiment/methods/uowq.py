"""UOWQ (arXiv:2601.10779): every sample of every source, each source at the weight that minimises the predicted error."""
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods import control
from transfer_jax.experiment.methods.protocol import Outcome


def dynamic(lab: Lab) -> Outcome:
    """Weights decided repeatedly during the fit, with the Fisher information at its current parameters."""
    return control.dynamic(lab, 'uowq', control.weights_of)


def static(lab: Lab) -> Outcome:
    """Weights decided once, before the fit."""
    return control.static(lab, 'uowq_static', control.weights_of, *lab.measure_sources())
