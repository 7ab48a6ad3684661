"""All sources: every sample of the target and of every source, all at weight 1."""
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def run(lab: Lab) -> Outcome:
    """The unweighted fit to everything."""
    return outcome(lab, lab.fit('all_sources', lab.policy(np.ones(len(lab.sources)))))
