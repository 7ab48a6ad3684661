"""Programs beside training that a TPU chip runs once a clip or caption: the VAE, both ways, and the text encoder, lowered for a mesh."""
import functools

import jax
import jax.numpy as jnp

from tqd_jax.latents.wan_vae.codec import WanCodec
from tqd_jax.latents.wan_vae.config import WAN_2_1
from tqd_jax.latents.wan_vae.params import abstract_params as vae_params
from tqd_jax.text.umt5 import model as umt5
from tqd_jax.text.umt5.config import XXL
from tqd_jax.text.umt5.config import abstract_params as text_params
from transfer_jax.runtime.parallel.mesh import replicated

CLIP = 81, 480, 832  # frames, height, width


def vae(mesh, layers, *, encode, dtype='float32', chunk=1):
    """The VAE of Wan 2.1 on one clip, frames to latents or back."""
    codec = WanCodec(WAN_2_1, dtype, chunk)
    part = 'encoder' if encode else 'decoder'
    params = placed(vae_params(WAN_2_1, (part,), dtype), mesh)
    shape = (1, *CLIP, 3) if encode else (1, *codec.latent_shape(*CLIP))
    x = jax.ShapeDtypeStruct(shape, jnp.uint8 if encode else jnp.float32, sharding=replicated(mesh))
    return jax.jit(codec.encode if encode else codec.decode).lower(params, x)


def text(mesh, layers, *, captions=1):
    """UMT5-XXL in bfloat16 on captions of 512 tokens."""
    tokens = jax.ShapeDtypeStruct((captions, 512), jnp.int32, sharding=replicated(mesh))
    encode = functools.partial(umt5.encode, config=XXL, dtype='bfloat16')
    return jax.jit(encode).lower(placed(text_params(XXL, 'bfloat16'), mesh), tokens)


def placed(abstract, mesh):
    """Shapes that every device of the mesh holds whole."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)), abstract)


BESIDE = {
    'vae_encode': ('VAE of 2.1, encode 81 frames of 832 x 480, float32', functools.partial(vae, encode=True)),
    'vae_decode': ('VAE of 2.1, decode the same, float32', functools.partial(vae, encode=False)),
    'vae_decode_bfloat16': ('VAE of 2.1, decode the same, bfloat16', functools.partial(vae, encode=False, dtype='bfloat16')),
    'umt5': ('UMT5-XXL, one caption of 512 tokens, bfloat16', text),
}
