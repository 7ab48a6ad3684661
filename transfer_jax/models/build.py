"""The model that a config names: ModelConfig and build."""
import dataclasses
import functools
import math

from transfer_jax.models.convnet import ConvNet
from transfer_jax.models.mlp import MLP
from transfer_jax.models.model import model_of
from transfer_jax.runtime.errors import UserError

CHOICES = {'kind': ('linear', 'mlp', 'convnet'), 'trainable': ('all', 'head'), 'dtype': ('float32', 'bfloat16')}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model is, and what of it is trained.

    kind: 'linear', 'mlp' or 'convnet'.
    hidden: widths of an MLP's hidden layers; the three layers' channels of a convnet; () for every other kind.
    trainable: 'all' or the 'head' alone.
    dtype: of the products. Parameters, the head and outputs are always float32.

    Raises UserError, naming key and value, for a choice or a size that cannot be.
    """
    kind: str
    hidden: tuple[int, ...] = ()
    trainable: str = 'all'
    dtype: str = 'float32'

    def __post_init__(self):
        object.__setattr__(self, 'hidden', tuple(self.hidden))
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise UserError(f'model.{key} is {getattr(self, key)!r}; choose one of {", ".join(allowed)}')
        _check_hidden(self.kind, self.hidden)
        if self.kind == 'linear' and self.dtype != 'float32':
            raise UserError('model.dtype is bfloat16, but a linear model is its head, which is always float32; set it to float32')


def build(config, input_shape, outputs):
    """The Model of a ModelConfig for inputs of one shape, (F,) or (H, W, C), and a number of outputs (>= 1).

    Raises UserError where they do not go together.
    """
    _check_sizes(config, input_shape, outputs)
    return model_of(functools.partial(_module, config, tuple(input_shape), outputs), trainable=config.trainable)


def _module(config, shape, outputs, rngs):
    if config.kind == 'convnet':
        return ConvNet(shape, config.hidden, outputs, dtype=config.dtype, rngs=rngs)
    return MLP(math.prod(shape), config.hidden, outputs, dtype=config.dtype, rngs=rngs)


def _check_hidden(kind, hidden):
    wanted = {'mlp': 'one width or more', 'convnet': 'three numbers of channels'}.get(kind, '()')
    fits = {'mlp': len(hidden) > 0, 'convnet': len(hidden) == 3}.get(kind, not hidden)
    if not fits or not all(isinstance(width, int) and width > 0 for width in hidden):
        raise UserError(f'model.hidden is {hidden!r}; kind {kind!r} wants {wanted}' + (', each of at least 1' if wanted != '()' else ''))


def _check_sizes(config, shape, outputs):
    images = config.kind not in ('linear', 'mlp')
    if outputs < 1:
        raise UserError(f'a model of {outputs} outputs can learn nothing; the data need at least one class or value')
    if len(shape) not in ((3,) if images else (1, 3)) or min(shape) < 1:
        raise UserError(f'model.kind {config.kind!r} wants {"images (H, W, C)" if images else "features (F,) or images (H, W, C)"}, '
                        f'and the inputs have shape {tuple(shape)}; choose {"linear or mlp" if images else "other data"}')
    if config.kind == 'convnet' and min(shape[:2]) < 8:
        raise UserError(f'a convnet halves an image three times, so it needs 8 x 8 pixels, not {shape[0]} x {shape[1]}; choose mlp')
