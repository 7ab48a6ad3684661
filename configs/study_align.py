"""Study 2: where in noise time the gradients of worse copies of golden clips agree with those of the clips themselves.

    python -m benchmarks.studies --config=configs/study_align.py --workdir=runs/study --config.size=tiny
    python -m benchmarks.studies --config=configs/study_align.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke

It stands on the uniform pre-training of configs/study_table.py: what that study left in the same --workdir is used, what is missing is
trained. A stopped study goes on with the same command. Any key is overridden by --config.KEY=VALUE.
"""
from ml_collections import ConfigDict

from configs import study_table


def get_config():
    """Every key of the study; a key that is not here does not exist."""
    table, config = study_table.get_config(), ConfigDict()
    config.study = 'align'
    config.size = 'tiny'                    # one of config.sizes, which are study_table's
    config.seeds = table.seeds              # of the pre-trainings
    config.moments = (0.125, 0.5, 1.0)      # of pre-training, as shares of its steps
    config.clips = 128                      # golden clips of a world that no run has seen
    config.chunks = 16                      # of them, from which bands are made
    config.bins = 10                        # of noise, equal parts of t
    config.draws = 1                        # of noise, for a clip in a bin
    config.severity = 0.75                  # of worse visual quality, the mean of the library's poor clips; a worse motion is
    config.speed = 0.05                     # this share of the clip's own
    config.results = 'docs/results'         # where the page and its JSON go
    config.sizes = table.sizes
    return config
