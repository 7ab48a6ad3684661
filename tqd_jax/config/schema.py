"""Every key of the main job: its default, its allowed values, its meaning, and whether a resumed run may change it."""
import dataclasses

from tqd_jax.config.data import Data, Law
from tqd_jax.config.pretrained import Lora, Pretrained
from tqd_jax.diffusion import grids, solvers
from tqd_jax.diffusion import path as flow
from tqd_jax.models.wan.config import CHOICES, PRESETS
from tqd_jax.timesteps import learned, quality
from transfer_jax.runtime.config import (
    Rule,
    boolean,
    choice,
    integer,
    key,
    number,
    optional,
    paths,
    section,
    sequence,
    text,
)


def one_or_two(rule):
    """The rule of a value, or of a tuple of two."""
    pair = sequence(rule, length=2)
    return Rule(allowed=f'{rule.allowed}, or {pair.allowed}', accepts=lambda value: rule.accepts(value) or pair.accepts(value))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """The video transformer."""
    preset: str | None = key('tiny', optional(choice(*PRESETS)), 'its size; None: that of the weights in wan.path')
    vocab: int = key(512, integer(at_least=2), 'words are hashed into this many tokens')
    text_len: int | None = key(None, optional(integer(at_least=1)), 'words of a caption that are read; None: as many as init_from was '
                               'trained with (8 for the shipped checkpoint), 64 without one')
    dtype: str = key('float32', choice(*CHOICES['dtype']), 'of matrix products; bfloat16 is for accelerators')
    remat: str = key('none', choice(*CHOICES['remat']), 'what is computed again in the backward pass: '
                     'nothing, all but matrix products, all, all but attention, all from inputs kept on the host')
    attention: str = key('auto', choice(*CHOICES['attention']), 'auto: cuDNN in 16 bits on GPUs of Ampere or newer, '
                         'splash on a TPU, else chunked for many tokens and XLA for few')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Training."""
    steps: int = key(300, integer(at_least=1), 'updates in all; a resumed run may change them where the '
                     'schedule is constant, else with data.allow_changes', free=True)
    batch: int = key(8, integer(at_least=1), 'clips of an update, over all devices')
    accumulate: int = key(1, integer(at_least=1), 'slices of a batch over which the gradient is summed, to '
                          'save memory', by_leave=True)
    trained: str = key('full', text(), "the parameters that training changes: full: all of the model; lora: "
                       'adapters (config.lora); else a regular expression of names such as blocks/cross/q/kernel')
    optimizer: str = key('adamw', choice('adamw', 'muon'), 'muon is for the matrices of the blocks, with '
                         'AdamW for the rest')
    learning_rate: float = key(5e-4, number(above=0), 'after warm-up', by_leave=True)
    schedule: str = key('constant', choice('constant', 'cosine'), 'of the learning rate; cosine falls to 0 '
                        'at train.steps', by_leave=True)
    warmup: int = key(50, integer(at_least=0), 'steps in which the learning rate rises', by_leave=True)
    b1: float = key(0.9, number(at_least=0, below=1), "Adam's decay of the first moment", by_leave=True)
    b2: float = key(0.99, number(at_least=0, below=1), "Adam's decay of the second moment", by_leave=True)
    weight_decay: float = key(0.0, number(at_least=0), 'of kernels alone, in units of the learning rate', by_leave=True)
    clip_norm: float = key(1.0, number(above=0), 'largest global norm of a gradient', by_leave=True)
    ema: float = key(0.99, number(at_least=0, below=1), 'decay of the average of weights that is evaluated '
                     'and saved', by_leave=True)
    path: str = key('rectified', choice(*flow.KINDS), 'from data to noise: straight, or variance preserving')
    prediction: str = key('flow', choice(*flow.PREDICTIONS), 'what the network is trained to predict')
    precondition: tuple | None = key((-0.44, 0.24), optional(sequence(number(), length=2)),
                                     'mean and standard deviation of latents: the network then adds to the '
                                     'best linear guess; None: no preconditioning')
    caption_dropout: float = key(0.1, number(at_least=0, at_most=1), 'share of examples without caption, '
                                 'for guidance', by_leave=True)
    stratified: bool = key(True, boolean(), 'the timesteps of a batch cover their laws evenly', by_leave=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
    """Devices."""
    data: int = key(-1, integer(at_least=-1), 'devices along the batch; -1: all that fsdp and context leave')
    fsdp: int = key(1, integer(at_least=1), 'devices over which batch and parameters are split')
    context: int = key(1, integer(at_least=1), 'devices that share the same clips: the tokens of a clip, its heads in '
                       'attention, and the parameters are split over them')
    reduce: str = key('float32', choice(*CHOICES['reduce']), 'dtype in which devices add up their gradients; bfloat16 is '
                      'half the traffic, and for model.dtype bfloat16')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eval:
    """Evaluation."""
    every: int = key(150, integer(at_least=1), 'steps between evaluations')
    clips_per_quadrant: int = key(8, integer(at_least=1), 'of the held-out clips, at most')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Align:
    """`--mode=align`: gradients of golden clips against those of degraded copies of them."""
    clips: int = key(64, integer(at_least=3), 'golden clips, at most')
    chunks: int = key(8, integer(at_least=3), 'of clips, from which intervals are estimated')
    bins: int = key(10, integer(at_least=2), 'of noise: equal parts of [0, 1] of t', renamed_from='buckets')
    draws: int = key(1, integer(at_least=1), 'of noise, for a clip in a noise bin')
    degradation: str = key('blur', choice('blur', 'noise', 'resolution'), 'of visual quality, in copies',
                           renamed_from='look')
    severity: float = key(1.0, number(above=0, at_most=1), 'of the degradation')
    speed: float = key(0.1, number(at_least=0, below=1), 'what is left of the motion in slowed copies')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learn:
    """`--mode=learn`: a law of t for each group of clips, from the gradients of a probe."""
    by: str = key('quadrant', choice(*learned.BY), 'what separates groups: quality quadrant, source, or both')
    target: str | None = key(None, optional(text()), 'the group whose clips are as all should be; None: '
                             'golden, by quadrant')
    chunks: int = key(12, integer(at_least=6), 'of clips, from which noise is told from signal; an even '
                      'number')
    chunk: int = key(2, integer(at_least=1), 'clips of a chunk; chunks x chunk clips of every group are used')
    bins: int = key(10, integer(at_least=2), 'of noise: equal parts of [0, 1] of t; a divisor of 120',
                    renamed_from='buckets')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Samples, drawn after training and by `--mode=sample`. With wan.path, None stands for what the model's authors use."""
    captions: tuple | None = key(None, optional(sequence(text())), 'of samples, in turn; None takes '
                                 'captions of the library')
    negative: str | None = key('', optional(text(empty=True)), 'the caption that guidance leads away from')
    clips: int = key(8, integer(at_least=1), 'samples')
    batch: int | None = key(None, optional(integer(at_least=1)), 'samples that are drawn at once; None: all')
    every: int | None = key(None, optional(integer(at_least=1)), 'steps between samples during training, from the '
                            'same noise; None: only at the end')
    shapes: tuple | None = key(None, optional(sequence(sequence(integer(at_least=1), length=3), example='((64, 48, 9),)')),
                               '(width, height, '
                               'frames) of samples, in turn; None: the bucket that most clips are of')
    steps: int | None = key(24, optional(integer(at_least=1)), 'of the solver')
    solver: str = key('heun', choice(*solvers.SOLVERS), 'of the ordinary differential equation')
    grid: str = key('linear', choice(*grids.GRIDS), 'the steps in t before the shift: equal, or as Wan or diffusers '
                    'lay them')
    integer_time: bool = key(False, boolean(), 'the model reads t cut to thousandths, as in Wan\'s own inference')
    guidance: tuple | float | None = key(2.0, optional(one_or_two(number(at_least=0))), 'scale of classifier-free '
                                         'guidance; at most 1: none; two for a model with two experts: (high, low)')
    shift: float | None = key(1.0, optional(number(above=0)), 'flow shift of the steps in t')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Checkpoints."""
    every: int = key(100, integer(at_least=1), 'steps between checkpoints')
    keep: int = key(2, integer(at_least=1), 'checkpoints that stay')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Profile:
    """Traces of jax.profiler."""
    steps: tuple | None = key(None, optional(sequence(integer(at_least=1), length=2)), 'the first and the last step that '
                              'are traced into profile/ of the work directory; None: no trace')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The main job."""
    seed: int = key(0, integer(at_least=0, at_most=2**31 - 1), 'of all that is random')
    init_from: str | None = key('asset:tiny.npz', optional(paths()), 'weights to start from: a file, '
                                "'asset:NAME' of the package, or None to start from noise; where wan.path names weights the "
                                'run starts from those, and this must be None')
    compare: str | None = key(None, optional(choice(*quality.LAWS)), 'law.kind of a second run after this one, otherwise the same, in '
                              "compare/KIND of the workdir: the report compares their samples; None, or this run's own kind: no second run",
                              free=True)
    log_every: int = key(20, integer(at_least=1), 'steps between lines of the log', free=True)
    data: Data = section(Data)
    law: Law = section(Law)
    model: Model = section(Model)
    wan: Pretrained = section(Pretrained)
    lora: Lora = section(Lora)
    train: Train = section(Train)
    mesh: Mesh = section(Mesh, free=True)
    eval: Eval = section(Eval, free=True)
    align: Align = section(Align, free=True)
    learn: Learn = section(Learn, free=True)
    sample: Sample = section(Sample, free=True)
    checkpoint: Checkpoint = section(Checkpoint, free=True)
    profile: Profile = section(Profile, free=True)
