"""Target only: a fit without sources."""
from transfer_jax.experiment.methods.protocol import outcome


def run(lab):
    """The fit to the target alone."""
    return outcome(lab, lab.fit_alone())
