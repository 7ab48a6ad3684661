"""Embedded tasks whose truth is defined here: linear tasks in two clusters, and one outlier."""
import numpy as np

from transfer_jax.experiment.data.domains import Domain, Domains

TASKS, FEATURES, WITHIN = 12, 10, 0.05


def truth(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(cluster number [T], heads [T, FEATURES]): tasks of clusters 0 and 1 alternate; the last task is an outlier, number 2.

    Entries of the clusters' centres are standard normal, those of the outlier twice as large; within a cluster heads differ by WITHIN.
    """
    rng = np.random.default_rng([seed, 0x7A5C])
    cluster = np.append(np.arange(TASKS - 1) % 2, 2)
    centres = rng.standard_normal((3, FEATURES)) * np.array([1, 1, 2])[:, None]
    return cluster, centres[cluster] + WITHIN * rng.standard_normal((TASKS, FEATURES))


def clustered(seed: int = 0, examples: int = 60, noise: float = 1.0) -> Domains:
    """Domains of TASKS linear regressions with `examples` rows each; labels have standard deviation `noise` around their means."""
    rng = np.random.default_rng([seed, 0xDA7A])
    domains = []
    for number, (cluster, head) in enumerate(zip(*truth(seed), strict=True)):
        inputs = rng.standard_normal((examples, FEATURES)).astype(np.float32)
        labels = (inputs @ head + noise * rng.standard_normal(examples)).astype(np.float32)
        kind = 'outlier' if cluster == 2 else f'cluster {cluster}'
        domains.append(Domain(name=f'task {number} ({kind})', inputs=inputs, labels=labels))
    return Domains(domains=tuple(domains), classes=None)
