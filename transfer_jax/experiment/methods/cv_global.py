"""One weight by cross-validation: all sources at the same weight, which folds of the target choose."""
import numpy as np

from transfer_jax.experiment.lab.folds import GLOBAL_WEIGHTS
from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def run(lab: Lab) -> Outcome:
    """The fit at the weight of GLOBAL_WEIGHTS whose fits without a fold have the smallest loss on the target's training rows."""
    weights = np.asarray(GLOBAL_WEIGHTS)[np.argmin(lab.global_losses(), 0)]
    fit = lab.fit('cv_global', lab.policy(weights[:, None]))
    return outcome(lab, fit, shared_seconds=lab.global_seconds())
