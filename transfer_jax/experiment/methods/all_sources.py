"""All sources at one weight: 1, or the one that folds of the target choose (cv_global)."""
import numpy as np

from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def run(lab: Lab) -> Outcome:
    """The unweighted fit to everything."""
    return outcome(lab, lab.fit('all_sources', lab.policy(np.ones(len(lab.sources)))))


def cv_global(lab: Lab) -> Outcome:
    """The fit at the weight of GLOBAL_WEIGHTS whose fits without a fold have the smallest loss on the target's training rows."""
    weights = np.asarray(GLOBAL_WEIGHTS)[np.argmin(lab.global_losses(), 0)]
    fit = lab.fit('cv_global', lab.policy(weights[:, None]))
    return outcome(lab, fit, shared_seconds=lab.global_seconds())
