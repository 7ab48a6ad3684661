"""Every key of the studies: default, allowed values and meaning; and the sizes that studies 1 to 3 come in."""
import dataclasses

from benchmarks.studies.theory.worlds import MODELS
from benchmarks.studies.training.arms import ARMS
from benchmarks.studies.world.degradations import DEGRADATIONS, DETAIL
from tqd_jax.diffusion.solvers import SOLVERS
from tqd_jax.models.wan.config import CHOICES
from transfer_jax.runtime.config import (
    choice,
    each,
    integer,
    key,
    number,
    optional,
    section,
    sequence,
    text,
)
from transfer_jax.runtime.errors import UserError

REGIMES = ('finetune', 'scratch')
WORLDS = {'detail': DETAIL, 'all': DEGRADATIONS}
BY_HAND = ('A uniform', 'C uniform', 'A tqd', 'A adaptive t only', 'A dropout only', 'A reversed', 'A kappa 4', 'A kappa 16',
           'A offset', 'A min noise')
ONE = integer(at_least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
    """One size of world, model and training."""
    size: int = key(16, integer(at_least=16), 'pixels of a side')
    frames: int = key(8, integer(at_least=2), 'of a clip')
    fps: int = key(8, ONE, 'frames a second')
    clips: int = key(2048, integer(at_least=8), 'of the library')
    layers: int = key(3, ONE, 'blocks of the transformer')
    heads: int = key(2, ONE, 'of attention')
    head_dim: int = key(32, integer(at_least=6), 'width of a head')
    ffn_dim: int = key(256, ONE, 'hidden width of the feed-forward')
    patch: tuple = key((2, 4, 4), sequence(ONE, length=3), 'frames, rows and columns of a token')
    dtype: str = key('float32', choice(*CHOICES['dtype']), 'of matrix products')
    batch: int = key(16, ONE, 'clips of an update')
    every: int = key(500, ONE, 'steps of one call, after which a run is evaluated')
    pretrain: int = key(4000, ONE, 'steps, a multiple of every')
    finetune: int = key(1000, ONE, 'steps, a multiple of every')
    scratch: int = key(2000, ONE, 'steps, a multiple of every')
    learning_rate: float = key(3e-3, number(above=0), 'of Adam, after warm-up')
    warmup: int = key(100, ONE, 'steps in which the learning rate rises')
    ema: float = key(0.995, number(at_least=0, below=1), 'decay of the average of weights that is evaluated')
    held_out: int = key(64, ONE, 'golden clips of another seed, for validation')
    samples: int = key(64, integer(at_least=2), 'that are measured of each run, a multiple of sample_batch')
    sample_batch: int = key(16, ONE, 'samples of one call')
    sample_steps: int = key(12, ONE, 'of the solver')
    solver: str = key('heun', choice(*SOLVERS), 'of the ordinary differential equation')
    guidance: float = key(2.0, number(at_least=0), 'scale of classifier-free guidance')
    replicas: int | None = key(None, optional(ONE), 'runs at once on an accelerator, None for all; a CPU '
                               'trains one a core', renamed_from='lanes')


SIZES = {
    'tiny': Size(),
    'tiny_long': Size(layers=4, heads=4, ffn_dim=512, batch=32, every=1000, pretrain=16000, finetune=4000, scratch=16000,
                      learning_rate=2e-3, ema=0.999, held_out=128, samples=256),
    'tiny_5000': Size(scratch=5000),  # as many steps as pre-training and fine-tuning take together
    # 160,000 run-steps of 114 GFLOP: half an hour at the memory traffic that tiny_long reached on an H100; not yet run
    'small': Size(size=64, frames=32, fps=32, layers=6, heads=3, head_dim=64, ffn_dim=768, patch=(4, 8, 8), dtype='bfloat16',
                  batch=8, every=500, pretrain=4000, finetune=1000, scratch=1000, learning_rate=1e-3, ema=0.999, held_out=32,
                  samples=32, replicas=15),
    # seconds, for tests: it shows nothing but that everything runs
    'smoke': Size(clips=96, layers=1, ffn_dim=64, batch=4, every=4, pretrain=8, finetune=4, scratch=8, warmup=2, held_out=8,
                  samples=4, sample_batch=4, sample_steps=2, solver='euler'),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """What studies 1 to 3 have in common."""
    size: str = key('tiny', text(), 'one of the names under sizes')
    seeds: tuple = key((0, 1, 2, 3, 4), sequence(integer(at_least=0)), 'of weights, draws, noise and '
                       'samples; the library is one')
    results: str = key('docs/results', text(), 'the folder of the page and its JSON')
    sizes: dict = each(Size, SIZES, 'sizes by name')


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableConfig(Study):
    """Study 1: arm by arm."""
    study: str = key('table', choice('table'), 'which study the config is of')
    regimes: tuple = key(REGIMES, sequence(choice(*REGIMES)), 'from a model that was pre-trained uniformly '
                         'on all clips; from fresh weights')
    arms: tuple | None = key(None, optional(sequence(choice(*ARMS))),
                             'names as in benchmarks/studies/training/arms.py; None: all')


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignConfig(Study):
    """Study 2: gradients of golden clips and of worse copies of them."""
    study: str = key('align', choice('align'), 'which study the config is of')
    moments: tuple = key((0.125, 0.5, 1.0), sequence(number(above=0, at_most=1)), 'of pre-training, as '
                         'shares of its steps')
    clips: int = key(128, integer(at_least=3), 'golden clips of a world that no run has seen')
    chunks: int = key(16, integer(at_least=3), 'of clips, from which intervals are estimated')
    bins: int = key(10, integer(at_least=2), 'of noise, equal parts of t', renamed_from='buckets')
    draws: int = key(1, ONE, 'of noise, for a clip in a bin')
    severity: float = key(0.75, number(above=0, at_most=1), 'of worse visual quality: the mean of the '
                          "library's poor clips")
    speed: float = key(0.05, number(at_least=0, below=1), "of slow copies, as a share of the clip's own")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearnedConfig(Study):
    """Study 3: laws that are learned from gradients."""
    study: str = key('learned', choice('learned'), 'which study the config is of')
    world: str = key('detail', choice(*WORLDS), 'degradations: of fine detail, or all, with colour shifts '
                     'and repeated frames too')
    regimes: tuple = key(('finetune',), sequence(choice(*REGIMES)), 'as in study 1')
    arms: tuple = key(BY_HAND, sequence(choice(*ARMS)), 'set by hand, to compare with')
    probe: float = key(1.0, number(above=0, at_most=1), 'share of pre-training whose weights the gradients '
                       'are of', renamed_from='pilot')
    chunks: int = key(16, integer(at_least=6), 'of clips, which separate signal from noise; an even number')
    chunk: int = key(4, ONE, 'clips of a chunk: every group gives chunks x chunk, and so does a target of '
                     'fresh golden clips')
    bins: int = key(10, integer(at_least=2), 'of noise, equal parts of t; a divisor of 120',
                    renamed_from='buckets')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cases:
    """Cases of study 4."""
    models: tuple = key(('mean', 'logistic', 'softmax'), sequence(choice(*MODELS)), 'that are refitted')
    dimensions: tuple = key((5, 20, 100, 500), sequence(integer(at_least=2)), 'd, with 3 sources')
    sources: tuple = key((1, 2, 5, 10, 20), sequence(ONE), 'K, with d = 20, at a low ratio (the middle of '
                         'the lower half) and at the highest')
    ratios: tuple = key((5, 10, 20, 40, 80, 160, 320), sequence(integer(at_least=2)), 'N0 / d')
    runs: int = key(1000, integer(at_least=20), 'refits of a case with 5 parameters; of one with d, 5 / d '
                    'times that, but at least 10')
    instances: int = key(30, ONE, 'random problems of each model and K whose ways of using sources are '
                         'compared')


@dataclasses.dataclass(frozen=True, kw_only=True)
class TheoryConfig:
    """Study 4: the theory of transfer against refitted models."""
    study: str = key('theory', choice('theory'), 'which study the config is of')
    seed: int = key(0, integer(at_least=0), 'of worlds and draws')
    results: str = key('docs/results', text(), 'the folder of theory.md and theory.json')
    images: str = key('docs/images', text(), 'the folder of its pictures')
    theory: Cases = section(Cases)


SCHEMAS = {'table': TableConfig, 'align': AlignConfig, 'learned': LearnedConfig, 'theory': TheoryConfig}


def schema_of(config):
    """The schema of a config file's study. Raises UserError where there is none of that name."""
    name = config.get('study')
    if name not in SCHEMAS:
        raise UserError(f'config.study = {name!r}; allowed: one of {", ".join(SCHEMAS)}')
    return SCHEMAS[name]
