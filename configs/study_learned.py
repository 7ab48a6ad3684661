"""Study 3: laws of t learned from the gradients of a model, against those set by hand from motion and visual quality.

    python -m benchmarks.studies --config=configs/study_learned.py --workdir=runs/study --config.size=tiny
    python -m benchmarks.studies --config=configs/study_learned.py --workdir=runs/study --config.size=tiny --config.world=all
    python -m benchmarks.studies --config=configs/study_learned.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke \
        --config.chunks=6 --config.chunk=1                                        a minute or two: it shows only that everything runs

What configs/study_table.py left in the same --workdir is used again for world = 'detail'; what is missing is trained. A stopped study goes
on with the same command. Any key is overridden by --config.KEY=VALUE.
"""
from ml_collections import ConfigDict

from configs import study_table


def get_config():
    """Every key of the study; a key that is not here does not exist."""
    table, config = study_table.get_config(), ConfigDict()
    config.study = 'learned'
    config.size = 'tiny'                    # one of config.sizes, which are study_table's
    config.world = 'detail'                 # degradations: of fine 'detail', or 'all', with colour shifts and repeated frames too
    config.regimes = ('finetune',)          # and 'scratch'
    config.arms = ('A uniform', 'C uniform', 'A tqd', 'A adaptive t only', 'A dropout only', 'A reversed', 'A kappa 4', 'A kappa 16',
                   'A offset', 'A min noise')  # set by hand, to compare with
    config.seeds = table.seeds
    config.probe = 1.0                      # share of pre-training whose weights the gradients are of
    config.chunks = 16                      # of clips, which separate signal from noise: even, 6 or more
    config.chunk = 4                        # clips in one; every group gives chunks x chunk, and so does a target: fresh golden clips
    config.bins = 10                        # of noise, equal parts of t; a divisor of 120
    config.results = 'docs/results'         # where the page and its JSON go
    config.sizes = table.sizes
    return config
