"""Study 1: what timestep-aware quality decoupling brings, arm by arm, on a world with a known truth.

    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/study --config.size=tiny         two cores, 80 minutes
    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/study --config.size=tiny_long    one accelerator
    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/study --config.size=small        one accelerator
    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/study --config.size=tiny_5000 \
        "--config.regimes=('scratch',)"
    python -m benchmarks.studies --config=configs/study_table.py --workdir=runs/smoke --config.size=smoke --config.results=runs/smoke

The steps of tiny and tiny_long were set by the time there is, before an arm was looked at; tiny_5000 has as many as pre-training and
fine-tuning of tiny, whose results existed then, and its B reversed was added after its B tqd. The learning rate and the
preconditioning come from one seed on other clips.

A stopped study goes on with the same command. Any key is overridden by --config.KEY=VALUE, a size's by --config.sizes.NAME.KEY=VALUE.
"""
from ml_collections import ConfigDict

WORLD = dict(size=16, frames=8, fps=8, clips=2048)
MODEL = dict(layers=3, heads=2, head_dim=32, ffn_dim=256, patch=(2, 4, 4), dtype='float32')
TRAIN = dict(batch=16, every=500, pretrain=4000, finetune=1000, scratch=2000, learning_rate=3e-3, warmup=100, ema=0.995)
EVALUATION = dict(held_out=64, samples=64, sample_batch=16, sample_steps=12, solver='heun', guidance=2.0)
REPLICAS = dict(replicas=None)              # runs at once on an accelerator, None for all; a CPU trains one a core
TINY = {**WORLD, **MODEL, **TRAIN, **EVALUATION, **REPLICAS}


def get_config():
    """Every key of the study; a key that is not here does not exist."""
    config = ConfigDict()
    config.study = 'table'
    config.size = 'tiny'                    # one of config.sizes
    config.regimes = ('finetune', 'scratch')  # from a model that was pre-trained uniformly on all clips; from fresh weights
    config.arms = None                      # names as in benchmarks/studies/training/arms.py; None takes all
    config.seeds = (0, 1, 2, 3, 4)          # of weights, draws, noise and samples; the library is one
    config.results = 'docs/results'         # where the page and its JSON go

    config.sizes = ConfigDict()
    config.sizes.tiny = ConfigDict(TINY)
    config.sizes.tiny_long = ConfigDict({**TINY, 'layers': 4, 'heads': 4, 'ffn_dim': 512, 'batch': 32, 'every': 1000, 'pretrain': 16000,
                                         'finetune': 4000, 'scratch': 16000, 'learning_rate': 2e-3, 'ema': 0.999, 'held_out': 128,
                                         'samples': 256})
    config.sizes.tiny_5000 = ConfigDict({**TINY, 'scratch': 5000})  # as many steps as pre-training and fine-tuning take together
    # 160,000 run-steps of 114 GFLOP: half an hour at the memory traffic that tiny_long reached on an H100; not yet run
    config.sizes.small = ConfigDict({
        **TINY, 'size': 64, 'frames': 32, 'fps': 32, 'layers': 6, 'heads': 3, 'head_dim': 64, 'ffn_dim': 768, 'patch': (4, 8, 8),
        'dtype': 'bfloat16', 'batch': 8, 'every': 500, 'pretrain': 4000, 'finetune': 1000, 'scratch': 1000, 'learning_rate': 1e-3,
        'ema': 0.999, 'held_out': 32, 'samples': 32, 'replicas': 15})
    config.sizes.smoke = ConfigDict({  # seconds, for tests: it shows nothing but that everything runs
        **TINY, 'clips': 96, 'layers': 1, 'ffn_dim': 64, 'batch': 4, 'every': 4, 'pretrain': 8, 'finetune': 4, 'scratch': 8, 'warmup': 2,
        'held_out': 8, 'samples': 4, 'sample_batch': 4, 'sample_steps': 2, 'solver': 'euler'})
    return config
