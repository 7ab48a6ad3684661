"""float8 weights with scales beside them, as ComfyUI, Kijai and musubi-tuner write them, read as the products that they stand for."""
import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from transfer_jax.runtime.errors import UserError

SCALES = ('scale_weight', 'weight_scale')  # W = upcast(w) * scale
IGNORED = ('scale_input', 'input_scale')  # of activations, for products in float8; the weights' value does not depend on them
MARKER, FORMAT, METADATA = 'scaled_fp8', 'comfy_quant', '_quantization_metadata'
FORMATS = ('float8_e4m3fn', 'float8_e5m2')
HINTS = ('full_precision_matrix_mult',)  # of a layer's format: how ComfyUI multiplies, nothing about values
UNSUPPORTED = re.compile(r'scale|quant|qdata|zero_point|absmax|codebook|qweight|weight_s_')
HARMLESS = ('scale_shift_table',)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scaled:
    """weight * scale in float32 on reading. scale: [], [1], [out], [out, 1], or [out, n, 1]: n blocks of in / n inputs each."""
    weight: Any
    scale: np.ndarray
    dtype = np.dtype(np.float32)

    @property
    def shape(self):
        return self.weight.shape

    def __getitem__(self, index):
        """The product at a NumPy index: slices and whole numbers, of which the first may be an array of rows."""
        values = np.asarray(self.weight[index], np.float32)
        return values * (self.scale.reshape(()) if self.scale.size == 1 else self._factors(index))

    def __array__(self, dtype=None, copy=None):
        values = self[...]
        return values if dtype is None else values.astype(dtype, copy=False)

    def _factors(self, index):
        """The scale of each selected element, without a copy where all inputs of a row share one."""
        rows = self.scale.reshape(self.shape[0], -1)
        index = index if isinstance(index, tuple) else (index,)
        if rows.shape[1] == 1:
            return np.broadcast_to(rows.reshape(-1, *(1,) * (len(self.shape) - 1)), self.shape)[index]
        block = np.arange(self.shape[1]) // (self.shape[1] // rows.shape[1])
        first, rest = index[0], index[1:] or (slice(None),)
        return rows[:, block][index] if first is ... else rows[first][..., block[rest[0]]]


def apply_scales(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arrays with the scales of their weights applied on reading, and without scales and markers.

    arrays: {name: array}, in any layout of names, perhaps with the metadata of a .safetensors file as `.metadata`. Variants: a plain cast
      (nothing beside the weights); `scaled_fp8` with `LAYER.scale_weight` or `LAYER.weight_scale`; `LAYER.comfy_quant` or the metadata's
      `_quantization_metadata`. A scale is one number, one for each output, or one for each output and block of inputs.

    Raises UserError, naming file and key: it is of another quantisation, its scale has no weight or does not fit it, or the file says that
    a weight has a scale which is not there.
    """
    try:
        return _applied(arrays)
    except UserError as error:
        raise UserError(f'{arrays.path}: {error}' if hasattr(arrays, 'path') else str(error)) from error


def _applied(arrays):
    names = _scaled_names(arrays)
    rest, scales = {}, {}
    for name, array in arrays.items():
        layer, _, leaf = name.rpartition('.')
        if leaf in SCALES:
            scales[f'{layer}.weight'] = name
        elif leaf == FORMAT:
            _check_format(name, _parsed(name, np.asarray(array).tobytes()))
            names.add(f'{layer}.weight')
        elif UNSUPPORTED.search(leaf) and leaf not in (*HARMLESS, *IGNORED, MARKER):
            raise UserError(f'{name} belongs to a quantisation that is not supported; give the weights in bfloat16, or in float8 with '
                            f'{" or ".join(SCALES)}')
        elif leaf not in (*IGNORED, MARKER):
            rest[name] = array
    for name in sorted(names - scales.keys()):
        raise UserError(f'{name} is said to be scaled, but the file has no scale for it; get the file again')
    return rest | {name: _product(name, scale, rest, arrays) for name, scale in scales.items()}


def _scaled_names(arrays):
    """Names of the weights that the file's marker or metadata say are scaled."""
    marker = any(name.rpartition('.')[2] == MARKER for name in arrays)
    names = {name for name, array in arrays.items() if marker and name.endswith('.weight') and array.dtype.name.startswith('float8')}
    text = getattr(arrays, 'metadata', {}).get(METADATA)
    layers = _parsed(f"the metadata's {METADATA}", text).get('layers', {}) if text else {}
    for layer, about in layers.items():
        _check_format(layer, about)
    return names | {f'{layer}.weight' for layer in layers}


def _parsed(name, text):
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise UserError(f'{name} does not say how weights are quantised ({error}); get the file again') from None


def _check_format(name, about):
    if about.get('format') not in FORMATS or about.keys() - {'format', *HINTS}:
        raise UserError(f'{name}: weights quantised as {about} are not supported; '
                        f'give the weights in bfloat16, or in {" or ".join(FORMATS)}')


def _product(name, scale_name, rest, arrays):
    if name not in rest:
        raise UserError(f'{scale_name} is the scale of {name}, which the file lacks; get the file again')
    weight, scale = rest[name], np.asarray(arrays[scale_name]).astype(np.float32)
    if not jnp.issubdtype(weight.dtype, jnp.floating):
        raise UserError(f'{name} is of dtype {weight.dtype} with the scale {scale_name}, which is not supported; '
                        'give the weights in bfloat16')
    rows, columns = (*weight.shape, 1, 1)[:2]
    blocks = scale.shape[1] if scale.ndim == 3 and len(weight.shape) == 2 else 1
    if scale.size != 1 and (columns % blocks or scale.shape not in ((rows,), (rows, 1), (rows, blocks, 1))):
        raise UserError(f'{scale_name} of shape {list(scale.shape)} does not fit {name} of shape {list(weight.shape)}; get the file again')
    return Scaled(weight=weight, scale=scale)
