"""Target only: a fit without sources."""
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def run(lab: Lab) -> Outcome:
    """The fit to the target alone."""
    return outcome(lab, lab.fit_alone())
