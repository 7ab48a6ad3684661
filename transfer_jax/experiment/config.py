"""Every key of the transfer job's two modes: its default, allowed values and meaning, and what a resumed run may change.

`python -m transfer_jax.experiment.config` prints them as Markdown tables, a part of docs/configuration.md.
"""
import dataclasses

from transfer_jax.experiment.data.load import Files
from transfer_jax.experiment.methods.registry import METHODS
from transfer_jax.experiment.models.build import ModelConfig
from transfer_jax.experiment.multitask.config import Multitask
from transfer_jax.experiment.scores.keys import metrics_key, predictions_key
from transfer_jax.experiment.training.policy import SAMPLING
from transfer_jax.experiment.training.prepare import AUGMENT, COLUMNS, ROWS
from transfer_jax.runtime.config import (
    choice,
    describe,
    integer,
    key,
    mapping,
    number,
    optional,
    section,
    sequence,
    text,
)

SOLVERS = ('adam', 'exact')
MODES = choice('transfer', 'multitask')
ALL = ('target_only', 'all_sources', 'single_source', 'cv_global', 'h_ensemble', 'mcw', 'wadn', 'otqms_published',
       'otqms_under', 'otqms_exact', 'otqms_over', 'otqms', 'uowq_budget', 'uowq_static',
       'uowq_dynamic', 'uowq')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Files):
    """Examples: where they are read from, which train, and how they are prepared."""
    shots: int = key(5, integer(at_least=1), 'labels of a class that train; of a regression: in all')
    validation: int = key(5, integer(at_least=0), 'labels of a class by which a method chooses, where it '
                          'chooses')
    test: int | None = key(None, optional(integer(at_least=1)), 'rows that score; None: all that are left')
    rows: str = key('none', choice(*ROWS), 'of features: every row is divided by this norm')
    columns: str = key('auto', choice('auto', *COLUMNS), 'of features: standard takes mean and deviation of '
                       'the sources; auto does where scales differ wildly, and says so')
    mean: tuple = key((0.0,), sequence(number()), 'of images, whose values are in [0, 1]: one number, or '
                      'one a channel')
    std: tuple = key((1.0,), sequence(number(above=0)), 'of images: one number, or one a channel')
    augment: str = key('none', choice(*AUGMENT), 'of images in training: random crops, and flips')
    resident_gb: float = key(4.0, number(at_least=0), 'larger inputs stay in the memory of the host',
                             free=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Training of one fit."""
    solver: str = key('adam', choice(*SOLVERS), 'adam: steps; exact: of a linear model or a head on a frozen '
                      'trunk, the optimum, with a prior that folds of the target choose')
    batch: int = key(64, integer(at_least=1), 'examples of an update')
    learning_rate: float = key(0.01, number(above=0), 'of Adam; it falls to 0 along a cosine',
                               renamed_from='rate')
    prior: float = key(1.0, number(at_least=0), 'pull to the start, in samples: ridge for a head, L2-SP in '
                       'fine-tuning')
    priors: tuple = key((1e4, 3e3, 1e3, 300.0, 1e2, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01), sequence(number(above=0)),
                        'of the solver exact: the priors among which folds of the target choose; without folds it '
                        'is train.prior')
    epochs: float = key(10.0, number(above=0), 'passes over the samples that a method takes')
    min_steps: int = key(200, integer(at_least=1), 'updates at least', renamed_from='least_steps')
    segment: int = key(20, integer(at_least=1), 'updates of one call')
    sampling: str = key('shares', choice(*SAMPLING), 'how often a source is drawn: by its share of the '
                        'loss, by its size, or all evenly')
    replicas: int = key(64, integer(at_least=1), 'fits in one vmap; 1 is quicker for a convnet on a CPU, '
                        'and takes less memory', renamed_from='lanes')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer:
    """Methods, and how they decide."""
    methods: tuple = key(ALL, sequence(choice(*METHODS)), 'that are trained and compared', free=True)
    metrics: tuple | None = metrics_key('of the table, the bars and negative transfer')
    predictions: bool = predictions_key()
    decisions: int = key(4, integer(at_least=1), 'of the dynamic methods, evenly over a fit')
    damping: float = key(0.5, number(above=0, at_most=1), 'how far each decision goes towards the new '
                         'optimum')
    folds: int = key(5, integer(at_least=0), 'of the target, to measure its noise and its shortfall; 0: '
                     'neither')
    budget: float = key(0.25, number(above=0, at_most=1), "of all source samples' cost: what uowq_budget "
                        'may take')
    costs: dict = key({}, mapping('source', number(above=0)), 'of one sample of a source; 1 where it has no '
                      'entry')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """Devices."""
    data: int = key(-1, integer(at_least=-1), 'devices along the batch; -1: all')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Checkpoints."""
    seconds: float = key(60.0, number(at_least=0), 'between checkpoints of a fit')


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """A target with few labels, and its sources."""
    mode: str = key('transfer', MODES, 'which job the config is of')
    seed: int = key(0, integer(at_least=0, at_most=2**30), 'the first seed; the others follow')
    seeds: int = key(5, integer(at_least=1), 'splits, starts and draws of their own, side by side in one '
                     'program')
    targets: tuple | None = key(None, optional(sequence(text())), 'names of domains; None: each in turn',
                                free=True)
    sources: tuple | None = key(None, optional(sequence(text())), 'names of domains; None: all but the '
                                'target')
    data: Data = section(Data)
    model: ModelConfig = section(ModelConfig)
    train: Train = section(Train)
    transfer: Transfer = section(Transfer)
    mesh: Mesh = section(Mesh, free=True)
    checkpoint: Checkpoint = section(Checkpoint, free=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultitaskConfig:
    """Many tasks, each source and target at once."""
    mode: str = key('multitask', MODES, 'which job the config is of')
    data: Files = section(Files)
    multitask: Multitask = section(Multitask)


def schema_of(config):
    """The schema of a config file's mode."""
    return MultitaskConfig if config.get('mode') == 'multitask' else TransferConfig


def tables():
    """Every key as Markdown tables."""
    schemas = {'The transfer job, `--config=configs/transfer.py`': TransferConfig,
               'Multi-task learning, `--config=configs/multitask.py`': MultitaskConfig}
    return '\n'.join(f'## {title}\n\n{describe(schema)}' for title, schema in schemas.items())


if __name__ == '__main__':
    print(tables())
