"""Programs beside training, lowered for a mesh: one guided step of sampling, the VAE both ways, and the text encoder."""
import functools

import jax
import jax.numpy as jnp

from tqd_jax.config import Config
from tqd_jax.diffusion.sampler import advance_latents, start_latents
from tqd_jax.latents.wan_vae.codec import WanCodec
from tqd_jax.latents.wan_vae.params import abstract_params as vae_params
from tqd_jax.planning.programs import planned
from tqd_jax.text.umt5 import model as umt5
from tqd_jax.text.umt5.config import XXL
from tqd_jax.text.umt5.config import abstract_params as text_params
from transfer_jax.runtime.parallel.mesh import replicated


def sampling_program(config: Config, mesh: jax.sharding.Mesh, bucket: tuple, platform: str | None = None) -> jax.stages.Lowered:
    """Steps of config.sample's solver on config.sample.batch clips of a bucket (width, height, frames), with guidance."""
    run = planned(config, mesh, platform)
    (width, height, frames), settings = bucket, run.foundation.sampling()
    batch, like = config.sample.batch or config.sample.clips, replicated(mesh)
    latent = jax.ShapeDtypeStruct((batch, *run.foundation.codec.latent_shape(frames, height, width)), jnp.float32)
    state = placed(jax.eval_shape(functools.partial(start_latents, settings=settings), latent), mesh)
    caption = run.foundation.text.spec()
    words = lambda rows: jax.ShapeDtypeStruct((rows, *caption.shape), caption.dtype, sharding=like)
    number = lambda dtype: jax.ShapeDtypeStruct((), dtype, sharding=like)

    def advance(trained, frozen, state, text, negative, start, stop, guidance):
        return advance_latents(run.objective, trained, {'model': frozen}, state, text, negative, settings, start, stop, guidance)

    return jax.jit(advance, out_shardings=like).lower(
        run.abstract_state.average, run.abstract_frozen['model'], state, words(batch), words(1), number(jnp.int32), number(jnp.int32),
        number(jnp.float32))


def vae_program(codec: WanCodec, mesh: jax.sharding.Mesh, bucket: tuple, *, encode: bool) -> jax.stages.Lowered:
    """The VAE on one clip of a bucket, which every device of the mesh computes whole: frames to latents or back."""
    width, height, frames = bucket
    params = placed(vae_params(codec.config, ('encoder' if encode else 'decoder',), codec.dtype), mesh)
    shape = (1, frames, height, width, 3) if encode else (1, *codec.latent_shape(frames, height, width))
    x = jax.ShapeDtypeStruct(shape, jnp.uint8 if encode else jnp.float32, sharding=replicated(mesh))
    return jax.jit(codec.encode if encode else codec.decode).lower(params, x)


def text_program(mesh: jax.sharding.Mesh, *, length: int = 512, dtype: str = 'bfloat16', captions: int = 1) -> jax.stages.Lowered:
    """UMT5-XXL on captions of so many tokens, on every device of the mesh."""
    tokens = jax.ShapeDtypeStruct((captions, length), jnp.int32, sharding=replicated(mesh))
    encode = functools.partial(umt5.encode, config=XXL, dtype=dtype)
    return jax.jit(encode).lower(placed(text_params(XXL, dtype), mesh), tokens)


def placed(abstract, mesh):
    """Shapes that every device of the mesh holds whole."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=replicated(mesh)), abstract)
