"""Study 4: the theory of transfer against refitted models.

    python -m benchmarks.studies --config=configs/study_theory.py --workdir=runs/theory
    python -m benchmarks.studies --config=configs/study_theory.py --workdir=runs/smoke_theory --config.results=runs/smoke_theory \
        --config.images=runs/smoke_theory --config.theory.dimensions='(5,)' --config.theory.ratios='(10,40)' --config.theory.runs=50 \
        --config.theory.instances=2                                                                          a minute

A stopped study goes on with the same command.
"""
from ml_collections import ConfigDict


def get_config():
    """Every key of the study; a key that is not here does not exist."""
    config = ConfigDict()
    config.study = 'theory'
    config.seed = 0                               # of worlds and draws
    config.results = 'docs/results'               # where theory.md and theory.json go
    config.images = 'docs/images'                 # where its pictures go

    config.theory = ConfigDict()
    config.theory.models = ('mean', 'logistic', 'softmax')
    config.theory.dimensions = (5, 20, 100, 500)  # d, with 3 sources
    config.theory.sources = (1, 2, 5, 10, 20)     # K, with d = 20, at a low ratio (the middle of the lower half) and at the highest
    config.theory.ratios = (5, 10, 20, 40, 80, 160, 320)  # N0 / d
    config.theory.runs = 1000                     # refits of a case with 5 parameters; of one with d, 5 / d times that, but at least 10
    config.theory.instances = 30                  # random problems of each model and K whose ways of using sources are compared
    return config
