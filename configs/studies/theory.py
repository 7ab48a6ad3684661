"""Study 4: the theory of transfer against refitted models.

    python -m benchmarks.studies --config=configs/studies/theory.py --workdir=runs/theory
    python -m benchmarks.studies --config=configs/studies/theory.py --workdir=runs/smoke_theory --config.results=runs/smoke_theory \
        --config.images=runs/smoke_theory --config.theory.dimensions='(5,)' --config.theory.ratios='(10,40)' --config.theory.runs=50 \
        --config.theory.instances=2                                                                          a minute

Machine: two cores, 15 minutes for the 190 cases. Expected: the tables and pictures of docs/results/theory.md. Keys:
benchmarks/studies/config.py.

A stopped study goes on with the same command.
"""
from benchmarks.studies.config import TheoryConfig
from transfer_jax.runtime.config import defaults


def get_config():
    """Three models, up to 500 parameters and 20 sources."""
    config = defaults(TheoryConfig)
    config.seed = 0
    config.theory.models = ('mean', 'logistic', 'softmax')
    config.theory.dimensions = (5, 20, 100, 500)
    config.theory.sources = (1, 2, 5, 10, 20)
    return config
