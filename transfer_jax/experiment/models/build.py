"""The model that a config names: ModelConfig and build."""
import dataclasses
import functools
import math
from collections.abc import Sequence

from transfer_jax.experiment.models.convnet import ConvNet
from transfer_jax.experiment.models.lora import low_rank
from transfer_jax.experiment.models.mlp import MLP
from transfer_jax.experiment.models.model import Model, model_of, shapes
from transfer_jax.experiment.models.pretrained import load
from transfer_jax.experiment.models.resnet import RESNETS, ResNet
from transfer_jax.experiment.models.vit import PATCH, VITS, ViT, grid_of
from transfer_jax.runtime.config import choice, integer, key, number, optional, paths, sequence
from transfer_jax.runtime.counts import counted
from transfer_jax.runtime.errors import UserError

CHOICES = {
    'kind': ('linear', 'mlp', 'convnet', *RESNETS, *VITS),
    'trainable': ('all', 'head', 'lora'),
    'dtype': ('float32', 'bfloat16'),
}
WITHOUT_MATRICES = ('linear', 'convnet')  # nothing but the head is a matrix


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The kind of a model, and which of its parameters are trained.

    lora_rank and lora_alpha are read for trainable = 'lora' only (lora.low_rank). A ResNet with weights normalises by the file's
    statistics, one without by groups. Parameters, the head and outputs are always float32.

    Raises UserError, naming key and value, for a choice or a size that is not allowed.
    """
    kind: str = key('linear', choice(*CHOICES['kind']), 'linear models are a head alone')
    hidden: tuple[int, ...] = key((), sequence(integer(at_least=1), empty=True), 'widths of an MLP, or a '
                                  "convnet's three numbers of channels")
    trainable: str = key('all', choice(*CHOICES['trainable']), 'all; the head alone; or the head and '
                         'changes of low rank to all frozen matrices')
    lora_rank: int = key(8, integer(at_least=1), 'of lora')
    lora_alpha: float = key(16.0, number(above=0), 'of lora: changes are lora_alpha / lora_rank times a b')
    weights: str | None = key(None, optional(paths()), "a .safetensors or .npz file in timm's or "
                              "torchvision's layout; None: fresh weights")
    dtype: str = key('float32', choice(*CHOICES['dtype']), 'of matrix products; bfloat16 is for accelerators')

    def __post_init__(self):
        object.__setattr__(self, 'hidden', tuple(self.hidden))
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UserError(f'model.{name} is {getattr(self, name)!r}; choose one of {", ".join(allowed)}')
        _check_hidden(self.kind, self.hidden)
        _check_together(self)


def build(config: ModelConfig, input_shape: Sequence[int], outputs: int) -> Model:
    """The Model of a ModelConfig for inputs of one shape, (F,) or (H, W, C), and a number of outputs (>= 1).

    Raises UserError where they do not go together, or where the file of weights does not fit.
    """
    shape = tuple(input_shape)
    _check_sizes(config, shape, outputs)
    make, arrays, notes = functools.partial(_module, config, shape, outputs), {}, ()
    if config.weights is not None:
        arrays, notes = load(config.weights, shapes(make), grid_of(shape))
    if config.trainable != 'lora':
        return model_of(make, trainable=config.trainable, arrays=arrays, notes=notes)
    return low_rank(model_of(make, trainable='head', arrays=arrays, notes=notes), rank=config.lora_rank, alpha=config.lora_alpha)


def _module(config, shape, outputs, rngs):
    if config.kind in RESNETS:
        norm = 'group' if config.weights is None else 'batch'
        return ResNet(RESNETS[config.kind], shape[2], outputs, norm=norm, dtype=config.dtype, rngs=rngs)
    if config.kind in VITS:
        return ViT(VITS[config.kind], shape, outputs, dtype=config.dtype, rngs=rngs)
    if config.kind == 'convnet':
        return ConvNet(shape, config.hidden, outputs, dtype=config.dtype, rngs=rngs)
    return MLP(math.prod(shape), config.hidden, outputs, dtype=config.dtype, rngs=rngs)


def _check_hidden(kind, hidden):
    requirement = {'mlp': 'one width or more', 'convnet': 'three numbers of channels'}.get(kind, '()')
    fits = {'mlp': len(hidden) > 0, 'convnet': len(hidden) == 3}.get(kind, not hidden)
    if not fits or not all(isinstance(width, int) and width > 0 for width in hidden):
        raise UserError(f'model.hidden is {hidden!r}; kind {kind!r} wants {requirement}'
                        + (', each of at least 1' if requirement != '()' else ''))


def _check_together(config):
    if config.kind == 'linear' and config.dtype != 'float32':
        raise UserError('model.dtype is bfloat16, but a linear model is its head, which is always float32; set it to float32')
    if config.weights is not None and config.kind not in (*RESNETS, *VITS):
        raise UserError(f'model.weights is {config.weights!r}, but there are none for kind {config.kind!r}; set it to None')
    if config.trainable == 'lora' and config.kind in WITHOUT_MATRICES:
        raise UserError(f'model.trainable is lora, but kind {config.kind!r} has no matrix beside its head; choose all or head')
    if not isinstance(config.lora_rank, int) or config.lora_rank < 1 or not 0 < config.lora_alpha < math.inf:
        raise UserError(f'model.lora_rank is {config.lora_rank!r} and model.lora_alpha {config.lora_alpha!r}; '
                        'the rank is a whole number of at least 1, alpha is positive')


def _check_sizes(config, shape, outputs):
    images = config.kind not in ('linear', 'mlp')
    if outputs < 1:
        raise UserError(f'a model of {counted(outputs, "output")} can learn nothing; the data need at least one class or value')
    if len(shape) not in ((3,) if images else (1, 3)) or min(shape) < 1:
        raise UserError(f'model.kind {config.kind!r} wants {"images (H, W, C)" if images else "features (F,) or images (H, W, C)"}, '
                        f'and the inputs have shape {shape}; choose {"linear or mlp" if images else "other data"}')
    if config.kind == 'convnet' and min(shape[:2]) < 8:
        raise UserError(f'a convnet halves an image three times, so it needs 8 x 8 pixels, not {shape[0]} x {shape[1]}; choose mlp')
    if config.kind in VITS and (shape[0] % PATCH or shape[1] % PATCH):
        raise UserError(f'model.kind {config.kind!r} cuts images into patches of 16 x 16 pixels; {shape[0]} x {shape[1]} are no multiple: '
                        'resize the images')
