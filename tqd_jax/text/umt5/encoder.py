"""Umt5: Wan's text encoder as a TextEncoder, and reading its sizes and tokenizer from the files that a user has."""
import dataclasses
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from tqd_jax.models.io.files import Tensors, open_tensors
from tqd_jax.models.io.scales import apply_scales
from tqd_jax.text.umt5 import model
from tqd_jax.text.umt5.clean import clean
from tqd_jax.text.umt5.config import Umt5Config, abstract_params
from tqd_jax.text.umt5.names import LOGIT_SCALE
from tqd_jax.text.umt5.tokenizer import Tokenizer, find_tokenizer, pack, read_tokenizer, tokenizer_in
from tqd_jax.text.umt5.weights import config_from, params_from
from transfer_jax.runtime.errors import UserError

_SPARE = 1024  # rows of the embedding beyond the tokenizer's; the published one has 384, 300 of them for sentinels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Umt5:
    """A TextEncoder. length: rows of a caption's features. dtype: of parameters, products and features, bfloat16 or float32.

    Raises ValueError for another dtype or a length below 1, and UserError where the tokenizer is not that of an encoder of such a size.
    """
    config: Umt5Config
    tokenizer: Tokenizer
    length: int = 512
    dtype: str = 'bfloat16'

    def __post_init__(self):
        if self.dtype not in ('bfloat16', 'float32'):
            raise ValueError(f'dtype is {self.dtype!r}; UMT5 computes in bfloat16 or float32, and overflows in float16')
        if self.length < 1:
            raise ValueError(f'length is {self.length}; a caption has at least 1 row, that of its end')
        if not self.tokenizer.size <= self.config.vocab <= self.tokenizer.size + _SPARE:
            raise UserError(f'the tokenizer has {self.tokenizer.size} tokens but the text encoder {self.config.vocab}; '
                            "give the encoder's own tokenizer")

    def init(self, key):
        """Random parameters; see model.init."""
        return model.init(key, self.config, self.dtype)

    def abstract(self):
        """Shapes and dtypes of the parameters."""
        return abstract_params(self.config, self.dtype)

    def load(self, path: str | pathlib.Path) -> dict:
        """The parameters of a file or folder as NumPy arrays. Raises UserError; see weights.params_from."""
        return params_from(open_weights(path), self.config, self.dtype)

    def prepare(self, captions: Sequence[str]) -> Int32[np.ndarray, 'n {self.length}']:
        """int32 [N, length]: cleaned captions as tokens, one of the end last, then 0; a longer one is cut before its end."""
        return pack(self._ids(captions), self.length)

    def too_long(self, captions: Sequence[str]) -> list[int]:
        """Numbers of the captions that prepare cuts."""
        return [number for number, ids in enumerate(self._ids(captions)) if len(ids) >= self.length]

    def spec(self) -> jax.ShapeDtypeStruct:
        """int32 [length]."""
        return jax.ShapeDtypeStruct((self.length,), jnp.int32)

    def encode(self, params, tokens: Int32[Array, 'batch cut']) -> Float[Array, 'batch {self.length} width']:
        """Features [B, length, width], zero from a caption's end on, of tokens [B, length] or of their first columns.

        Tokens whose last columns, all padding, are cut off (layerwise.crop) give the same in less time.
        """
        features = model.encode(params, tokens, self.config, self.dtype)
        return jnp.pad(features, ((0, 0), (0, self.length - tokens.shape[1]), (0, 0)))

    def empty(self, params) -> Int32[np.ndarray, ' {self.length}']:
        """The tokens of '': one of the end, then 0. Its features are a row that is not zero."""
        return self.prepare([''])[0]

    def _ids(self, captions):
        return self.tokenizer.ids([clean(str(caption)) for caption in captions])


def read_encoder(path: str | pathlib.Path, tokenizer: str | pathlib.Path | None = None, *, length: int = 512,
                 dtype: str = 'bfloat16') -> Umt5:
    """The encoder of a file or folder of weights, of which names and shapes are read; its `load` reads the arrays.

    tokenizer: spiece.model, tokenizer.json or their folder; None: the array `spiece_model` of the weights, else such a file beside them,
    in `tokenizer` or in `google/umt5-xxl`, as published folders have them.
    Raises UserError where either is missing or not UMT5's.
    """
    tensors = open_weights(path)
    return Umt5(config=config_from(tensors), tokenizer=_tokenizer(tensors, tokenizer), length=length, dtype=dtype)


def open_weights(path: str | pathlib.Path) -> Tensors:
    """The arrays of a file or folder of weights by name, read when used, float8 times its scales. Raises UserError."""
    tensors = open_tensors(path)
    arrays = {name: tensor for name, tensor in tensors.items() if not name.endswith(LOGIT_SCALE)}  # no scale of a weight
    scaled = apply_scales(dataclasses.replace(tensors, arrays=arrays))
    return dataclasses.replace(tensors, arrays=dict(scaled))


def _tokenizer(tensors, path):
    if path is not None:
        return read_tokenizer(path)
    folder = tensors.path if tensors.path.is_dir() else tensors.path.parent
    return tokenizer_in(tensors) or read_tokenizer(find_tokenizer(folder, folder.parent))
