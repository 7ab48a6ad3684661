"""W [T, T]: every task as the target once, all others its sources, all problems in one solve."""
import jax
import jax.numpy as jnp
import numpy as np

from transfer_jax.debias import debias_gram
from transfer_jax.experiment.multitask.prior import estimates
from transfer_jax.experiment.multitask.quadratics import Quadratics
from transfer_jax.weights import source_weights


@jax.default_matmul_precision('highest')
def task_weights(likelihoods: Quadratics, detail: float) -> jax.Array:
    """W of UOWQ: W[t, k] >= 0 is how much a sample of task k counts in task t's likelihood; 1 on the diagonal.

    The noise of a fit from n_k samples is sigma^2 / n_k. The weights of two estimates of G are mixed, the second at the share `detail`:
      0: the expectation of G under the prior that all tasks share, G = spread (11' + I): one number from all T tasks, for tasks without
         structure;
      1: debias_gram of each target's own G^ = (z_k - z_t) . (z_l - z_t) / d: for clusters and outliers, where the samples suffice to see
         them.
    """
    estimate = estimates(likelihoods)
    tasks = len(estimate.noise)
    others = np.array([[k for k in range(tasks) if k != t] for t in range(tasks)])
    sizes = likelihoods.counts / estimate.variance
    grams = []
    if detail < 1:
        grams.append(jnp.broadcast_to(estimate.spread * (1 + jnp.eye(tasks - 1)), (tasks, tasks - 1, tasks - 1)))
    if detail > 0:
        difference = estimate.z[others] - estimate.z[:, None]
        noise = estimate.noise, estimate.noise[others]
        gram = jnp.einsum('tki,tli->tkl', difference, difference) / estimate.z.shape[1]
        grams.append(debias_gram(gram, sizes, sizes[others], estimate.directions, noise=noise))
    solution_weights = source_weights(sizes, sizes[others], jnp.stack(grams)).weights
    share = jnp.asarray([1 - detail, detail] if len(grams) == 2 else [1.0])
    rows = jnp.arange(tasks)[:, None]
    return jnp.eye(tasks).at[rows, others].set(jnp.einsum('m,mtk->tk', share, solution_weights))
