"""Features as a text encoder: captions that were encoded beforehand, so that training reads features and holds no encoder."""
import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

from transfer_jax.runtime.counts import counted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """Text encoder of features [length, width] of `dtype`. Parameters: {'empty': the features of ''}, an array of that shape and dtype."""
    length: int = 512
    width: int = 4096
    dtype: str = 'bfloat16'

    def init(self, key):
        """{'empty': zeros}, a place for the features of '', which only the encoder that wrote the others has."""
        spec = self.spec()
        return {'empty': jnp.zeros(spec.shape, spec.dtype)}

    def load(self, path):
        """Raises ValueError: the features of '' come from the cache."""
        raise ValueError(f"features come from the cache, that of '' too, so {path} cannot be their file")

    def prepare(self, captions: Sequence[str]) -> Shaped[np.ndarray, 'n length width']:
        """Raises ValueError: captions were encoded when the cache was written."""
        raise ValueError(f'features come from the cache; {counted(len(captions), "caption")} cannot be encoded without the encoder '
                         'that wrote it')

    def spec(self) -> jax.ShapeDtypeStruct:
        """[length, width]."""
        return jax.ShapeDtypeStruct((self.length, self.width), jnp.dtype(self.dtype))

    def encode(self, params, prepared: Shaped[Array, 'batch length width']) -> Shaped[Array, 'batch length width']:
        """The features as they are."""
        return prepared

    def empty(self, params) -> Shaped[Array, 'length width']:
        """The features of ''."""
        return params['empty']
