"""All sources: every sample of the target and of every source, all at weight 1."""
import numpy as np

from transfer_jax.experiment.methods.protocol import outcome


def run(lab):
    """The unweighted fit to everything."""
    return outcome(lab, lab.fit('all_sources', lab.policy(np.ones(len(lab.sources)))))
