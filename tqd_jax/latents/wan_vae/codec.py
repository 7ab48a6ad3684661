"""WanCodec: a Codec of Wan's autoencoder, and read_codec, which makes one from a published file."""
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, UInt8

from tqd_jax.latents.codec import check_sizes
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.latents.wan_vae.config import VaeConfig
from tqd_jax.latents.wan_vae.decoder import decode_pixels, denormalised
from tqd_jax.latents.wan_vae.encoder import encode_mean, normalised
from tqd_jax.latents.wan_vae.params import PARTS, random_params
from tqd_jax.latents.wan_vae.tiling import Tiles, tiled
from tqd_jax.latents.wan_vae.weights import check_whole, config_from, constants_beside, params_from
from tqd_jax.models.io.files import open_tensors
from transfer_jax.runtime.counts import counted

DTYPES = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True)
class WanCodec:
    """Frames to the normalised mean of Wan's posterior, and latents to frames.

    dtype: of parameters and computation, 'float32' or 'bfloat16' (norms and attention's softmax are float32 in both). chunk:
    latent frames at a time, each of config.frame_stride frames; it changes memory and speed alone. None: the whole clip at once.
    tile: Tiles, for pictures that are too large for the memory; approximate. None: whole pictures.
    """

    config: VaeConfig
    dtype: str = 'float32'
    chunk: int | None = 1
    tile: Tiles | None = None

    def __post_init__(self):
        """Raises ValueError for another dtype, a chunk below 1, and tiles that are not whole latents."""
        if self.dtype not in DTYPES:
            raise ValueError(f'dtype must be float32 or bfloat16, got {self.dtype!r}')
        if self.chunk is not None and self.chunk < 1:
            raise ValueError(f'chunk must be at least 1 or None, got {self.chunk}')
        stride = self.config.pixel_stride
        if self.tile and (self.tile.size % stride or self.tile.overlap % stride):
            raise ValueError(f'size and overlap of tiles must be multiples of {stride} pixels, got {self.tile}')

    def init(self, key):
        """{'encoder': ..., 'decoder': ...} at random; they reconstruct nothing."""
        return random_params(key, self.config, self.dtype)

    def load(self, path: str | pathlib.Path, parts: tuple[str, ...] = PARTS):
        """{'encoder': ..., 'decoder': ...}, or the parts named, as NumPy arrays in the codec's dtype.

        path: a .safetensors or .pth file or a folder of shards, with original or diffusers' names. Raises UserError, with the name
        of the tensor, where the file does not fit the config.
        """
        return params_from(open_tensors(path), self.config, parts=parts, dtype=self.dtype)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple:
        """(1 + (F - 1) / 4, H / 8, W / 8, 16) of Wan 2.1; Wan 2.2 has H / 16, W / 16 and 48."""
        time, space = self.config.frame_stride, self.config.pixel_stride
        return 1 + (frames - 1) // time, height // space, width // space, self.config.z_dim

    def encode(self, params, video: UInt8[Array, 'batch frames height width 3']) -> Float32[Array, 'batch f h w channels']:
        """(mu - mean) / std of the posterior's mean mu, which nothing samples. params may lack 'decoder'.

        Raises ValueError where check does.
        """
        self.check(*video.shape[1:4], (1, 1, 1))
        encoder = self._cast(params['encoder'])
        encode = lambda frames: encode_mean(encoder, frames, self.config, self.chunk)
        return normalised(self._by_tiles(encode, video, self.config.pixel_stride, 1), self.config)

    def decode(self, params, latents: Float32[Array, 'batch f h w channels']) -> UInt8[Array, 'batch frames height width 3']:
        """Frames of latents as encode returns them; params may lack 'encoder'."""
        decoder, z = self._cast(params['decoder']), denormalised(latents, self.config)
        levels = lambda pixels: PixelCodec().decode({}, pixels.astype(jnp.float32))
        if self.tile is None:  # no clip of floats is held
            return decode_pixels(decoder, z, self.config, self.chunk, levels)
        decode = lambda z: decode_pixels(decoder, z, self.config, self.chunk)
        return levels(self._by_tiles(decode, z, 1, self.config.pixel_stride))

    def check(self, frames: int, height: int, width: int, patch: tuple):
        """Raises ValueError, naming the nearest sizes that fit, unless frames are 4 k + 1, rows and columns multiples of 8 (16 of
        Wan 2.2), and the patch divides their latents."""
        time, space = self.config.frame_stride, self.config.pixel_stride
        fits = {'frames': lambda n: n > 0 and (n - 1) % time == 0 and (1 + (n - 1) // time) % patch[0] == 0,
                'height': lambda n: n > 0 and n % (space * patch[1]) == 0,
                'width': lambda n: n > 0 and n % (space * patch[2]) == 0}
        check_sizes({'frames': frames, 'height': height, 'width': width}, fits, (
            f'the VAE turns {time} k + 1 frames into k + 1 latent frames, and {space} x {space} pixels into one latent; '
            f'the transformer\'s patch is {counted(patch[0], "frame")} of {patch[1]} x {patch[2]} latents'))

    def _cast(self, params):
        return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(self.dtype), params)

    def _by_tiles(self, function, x, scale_in, scale_out):
        if self.tile is None:
            return function(x)
        size, overlap = (length // self.config.pixel_stride for length in (self.tile.size, self.tile.overlap))
        return tiled(function, x, size, overlap, scale_in, scale_out)


def read_codec(path: str | pathlib.Path, *, dtype: str = 'float32', chunk: int | None = 1, tile: Tiles | None = None) -> WanCodec:
    """The codec of a published file or folder: version and sizes by names and shapes of its tensors.

    mean and std: of a config.json beside the file (latents_mean, latents_std); else those published for 16 or 48 channels.
    Raises UserError where the file is no Wan autoencoder, lacks a tensor or has others, or neither is there.
    """
    tensors = open_tensors(path)
    config = config_from(tensors, constants_beside(path))
    check_whole(tensors, config)
    return WanCodec(config, dtype, chunk, tile)
