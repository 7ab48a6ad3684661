"""Single best source: the target with one source, unweighted; validation examples choose the source."""
import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.experiment.lab.lab import Lab
from transfer_jax.experiment.methods.protocol import Outcome, outcome


def run(lab: Lab) -> Outcome:
    """The fits to the target and each source in turn; for every seed the one with the smallest loss on its validation examples."""
    count = len(lab.sources)
    policies = [lab.policy(row) for row in np.eye(count)]
    fit = lab.fit('single_source', jax.tree.map(lambda *x: jnp.stack(x, 1).reshape(-1, x[0].shape[-1]), *policies))
    outputs = lab.outputs(fit.params)
    outputs = outputs.reshape(len(lab.splits), count, *outputs.shape[1:])
    labels = lambda split: np.repeat(lab.labels[None, split.validation], count, 0)
    score = [lab.losses(out[:, split.validation], labels(split)).mean(1) for out, split in zip(outputs, lab.splits, strict=True)]
    best = np.argmin(score, 1)
    return outcome(lab, fit, outputs=outputs[np.arange(len(best)), best], replicas=np.arange(len(best)) * count + best)
