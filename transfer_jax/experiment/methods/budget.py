"""UOWQ within a budget: the best weights and quantities for a part of the sources' samples."""
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods import control
from transfer_jax.experiment.methods.protocol import Outcome


def run(lab: Lab) -> Outcome:
    """The fit at lab.budget (of all the sources' cost), decided once, before the fit."""
    def decide(measurement):
        solution = measurement.within(lab.budget, lab.costs)
        return solution.weights, solution.quantities
    return control.static(lab, 'uowq_budget', decide, *lab.measure_sources())
