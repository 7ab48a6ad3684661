"""RAFT's two published sizes, and their weights from a file: torchvision's raft_small and raft_large by name and shape."""
import dataclasses

import numpy as np

from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.tensors import read_tensors


@dataclasses.dataclass(frozen=True, kw_only=True)
class RaftSizes:
    """Channels of the parts of a RAFT: `widths` of an encoder's stem and stages, `correlation` and `flow` of the motion encoder's layers,
    `gru` the kernel of each recurrent unit, `mask` of the mask predictor, 0 where the flow is upsampled without one."""
    widths: tuple[int, ...]
    bottleneck: bool
    batch_norm: bool
    features: int
    context: int
    hidden: int
    radius: int
    correlation: tuple[int, ...]
    flow: tuple[int, int]
    motion: int
    gru: tuple[tuple[int, int], ...]
    head: int
    mask: int


SIZES = {
    'raft_small': RaftSizes(widths=(32, 32, 64, 96), bottleneck=True, batch_norm=False, features=128, context=64, hidden=96, radius=3,
                            correlation=(96,), flow=(64, 32), motion=82, gru=((3, 3),), head=128, mask=0),
    'raft_large': RaftSizes(widths=(64, 64, 96, 128), bottleneck=False, batch_norm=True, features=256, context=128, hidden=128, radius=4,
                            correlation=(256, 192), flow=(128, 64), motion=128, gru=((1, 5), (5, 1)), head=256, mask=256),
}


def load_raft(path):
    """A file's parameters as models/raft/network.py takes them, float32, and 'raft_small' or 'raft_large', which its tensors tell.

    path: .safetensors or .npz, the state dict of torchvision.models.optical_flow's network of that name.
    Raises UserError, naming file and tensor, where it cannot be read or tensors are missing, superfluous, misshapen or not finite.
    """
    file = {name: array for name, array in read_tensors(path).items() if not name.endswith('num_batches_tracked')}
    kind = 'raft_large' if any(name.startswith('mask_predictor.') for name in file) else 'raft_small'
    _check(path, kind, file, state_shapes(SIZES[kind]))
    return nested(file), kind


def nested(state):
    """{name: array} of a state dict -> nested dicts of float32, kernels [height, width, in, out]."""
    params = {}
    for name, array in state.items():
        *path, leaf = name.split('.')
        node = params
        for part in path:
            node = node.setdefault(part, {})
        array = np.asarray(array, np.float32)
        node[leaf] = np.ascontiguousarray(array.transpose(2, 3, 1, 0)) if array.ndim == 4 else array
    return params


def state_shapes(sizes):
    """{name: shape} of the state dict."""
    shapes = {}
    for name, inputs, outputs, kernel in (*_encoders(sizes), *_update_block(sizes)):
        shapes |= {f'{name}.weight': (outputs, inputs, *kernel), f'{name}.bias': (outputs,)}
        if sizes.batch_norm and name.startswith('context_encoder.') and name.endswith('.0'):
            leaves = ('weight', 'bias', 'running_mean', 'running_var')
            shapes |= {f'{name.removesuffix("0")}1.{leaf}': (outputs,) for leaf in leaves}
    return shapes


def _encoders(sizes):
    """(name, inputs, outputs, kernel) of the convolutions of both encoders."""
    for encoder, outputs in (('feature_encoder', sizes.features), ('context_encoder', sizes.hidden + sizes.context)):
        yield f'{encoder}.convnormrelu.0', 3, sizes.widths[0], (7, 7)
        before = sizes.widths[0]
        for stage, width in enumerate(sizes.widths[1:], 1):
            for block in range(2):
                halves = stage > 1 and block == 0
                for name, *layer in _block(before, width, sizes.bottleneck, halves):
                    yield f'{encoder}.layer{stage}.{block}.{name}.0', *layer
                before = width
        yield f'{encoder}.conv', before, outputs, (1, 1)


def _block(before, width, bottleneck, halves):
    inner = width // 4
    layers = ((before, inner, (1, 1)), (inner, inner, (3, 3)), (inner, width, (1, 1))) if bottleneck else (
        (before, width, (3, 3)), (width, width, (3, 3)))
    yield from ((f'convnormrelu{i}', *layer) for i, layer in enumerate(layers, 1))
    if halves:
        yield 'downsample', before, width, (1, 1)


def _update_block(sizes):
    """(name, inputs, outputs, kernel) of the convolutions of the update block and the mask predictor."""
    motion, (first, *second) = 'update_block.motion_encoder', sizes.correlation
    yield f'{motion}.convcorr1.0', 4 * (2 * sizes.radius + 1) ** 2, first, (1, 1)
    yield from ((f'{motion}.convcorr2.0', first, width, (3, 3)) for width in second)
    yield f'{motion}.convflow1.0', 2, sizes.flow[0], (7, 7)
    yield f'{motion}.convflow2.0', *sizes.flow, (3, 3)
    yield f'{motion}.conv.0', sizes.correlation[-1] + sizes.flow[1], sizes.motion - 2, (3, 3)
    for i, kernel in enumerate(sizes.gru, 1):
        for gate in 'zrq':
            yield f'update_block.recurrent_block.convgru{i}.conv{gate}', sizes.hidden + sizes.context + sizes.motion, sizes.hidden, kernel
    yield 'update_block.flow_head.conv1', sizes.hidden, sizes.head, (3, 3)
    yield 'update_block.flow_head.conv2', sizes.head, 2, (3, 3)
    if sizes.mask:
        yield 'mask_predictor.convrelu.0', sizes.hidden, sizes.mask, (3, 3)
        yield 'mask_predictor.conv', sizes.mask, 9 * 8 * 8, (1, 1)


def _check(path, kind, file, wanted):
    todo = "save the state dict of torchvision's raft_small or raft_large"
    for what, names in (('lacks', wanted.keys() - file.keys()), ('has, beyond what the network takes,', file.keys() - wanted.keys())):
        if names:
            several = 's' * (len(names) > 1)
            raise UserError(f'{path}, read as {kind}, {what} {len(names)} tensor{several}, such as {", ".join(sorted(names)[:3])}; {todo}')
    for name, shape in wanted.items():
        if file[name].shape != shape:
            raise UserError(f'{path}: {name} has shape {list(file[name].shape)}, {kind} wants {list(shape)}; {todo}')
        if not np.isfinite(file[name]).all():
            raise UserError(f'{path}: {name} holds NaN or infinity; get the file again')
