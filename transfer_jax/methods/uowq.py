"""UOWQ (arXiv:2601.10779): every sample of every source, each source at the weight that minimises the predicted error."""
from transfer_jax.methods import control


def dynamic(lab):
    """Weights found again on a schedule, with the Fisher information where the fit stands."""
    return control.dynamic(lab, 'uowq', control.weights_of)


def static(lab):
    """Weights found once, before the fit."""
    return control.static(lab, 'uowq_static', control.weights_of, *lab.measure_sources())
