"""What the user's files of published weights are: the model's sizes, VAE and text encoder, from headers alone."""
import dataclasses

from jax.sharding import Mesh

from tqd_jax.config import Config, check_shapes
from tqd_jax.diffusion.defaults import Defaults
from tqd_jax.foundations.adapters import lora_of
from tqd_jax.foundations.official import defaults_of
from tqd_jax.latents.wan_vae.codec import WanCodec, read_codec
from tqd_jax.latents.wan_vae.tiling import Tiles
from tqd_jax.models.assets import is_asset, located, shipped_models
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.places import WanParts, find_parts
from tqd_jax.models.io.wan import check_whole, read_config
from tqd_jax.models.wan.config import WanConfig
from transfer_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sources:
    """Published weights: their files, and what the files' headers say.

    parts: where transformer, VAE and text encoder lie. expert: the name in parts.experts of the transformer that is trained. model: its
    WanConfig, as the run executes it. codec: the VAE. t_range: the part (low, high) of t that the expert has. defaults: how the model's
    authors sample.
    """
    parts: WanParts
    expert: str
    model: WanConfig
    codec: WanCodec
    t_range: tuple
    defaults: Defaults


def open_sources(config: Config, mesh: Mesh) -> Sources:
    """The Sources of config.wan; mesh: that the run is on. Raises UserError where the files are not whole, not of one
    model, or not of the shapes in config.data.buckets."""
    parts, expert, model = open_model(config, mesh)
    codec = codec_of(config.wan, parts, model)
    check_shapes(config.data.buckets, codec, model.patch)
    check_shapes(config.sample.shapes or (), codec, model.patch, 'sample.shapes')
    check_guidance(config.sample.guidance, parts.boundary)
    return Sources(parts=parts, expert=expert, model=model, codec=codec,
                   t_range=range_of(expert, parts.boundary), defaults=defaults_of(model, parts.boundary))


def open_model(config, mesh):
    """(parts, expert, WanConfig as the run executes it) of config.wan.path, which are whole.

    Raises UserError where there is no such transformer, or tensors are missing.
    """
    parts = parts_of(config.wan)
    expert = expert_of(parts, config.wan.expert)
    return parts, expert, executed(config, model_of(parts), mesh)


def parts_of(wan):
    """The WanParts of config.wan, some of them of the package. Raises UserError where they are not there or make no model."""
    if is_asset(wan.path) and wan.path not in shipped_models():
        raise UserError(f'config.wan.path = {wan.path!r}: the package has no such weights, but {", ".join(shipped_models())}')
    return find_parts(located(wan.path), vae=located(wan.vae), text_encoder=located(wan.text_encoder), tokenizer=located(wan.tokenizer))


def model_of(parts):
    """The WanConfig of all transformers of the weights. Raises UserError where one lacks tensors, or two experts have other sizes."""
    (name, model), *others = ((name, whole_model(path, parts.settings)) for name, path in parts.experts.items())
    for other, sizes in others:
        if sizes != model:
            raise UserError(f'{parts.experts[name]} and {parts.experts[other]} are no two experts of one model: they have other sizes')
    return model


def whole_model(path, settings):
    """The WanConfig of a transformer's file or folder, by names and shapes. Raises UserError where it is not whole."""
    tensors = open_tensors(path)
    model = read_config(tensors, settings)
    check_whole(tensors, model)
    return model


def expert_of(parts, name):
    """The name of the transformer that is trained. Raises UserError where config.wan.expert and the files do not fit."""
    if list(parts.experts) == ['model']:
        if name is not None:
            raise UserError(f'config.wan.expert = {name!r}, and config.wan.path has one transformer, no experts: set it to None')
        return 'model'
    if name is None:
        raise UserError(f'config.wan.path has the experts {", ".join(parts.experts)}: say by config.wan.expert which one is trained '
                        f'(high: t above {parts.boundary}, low: below)')
    return name


def check_guidance(guidance, boundary):
    """Raises UserError where config.sample.guidance has two values, and the weights one transformer."""
    if boundary is None and isinstance(guidance, tuple | list):
        raise UserError(f'config.sample.guidance = {guidance}: two values are for a model with two experts, and config.wan.path has one '
                        'transformer: give one value')


def range_of(expert, boundary):
    """(low, high) of t that an expert is used on: above the boundary, below it, or all."""
    return {'high': (boundary, 1.0), 'low': (0.0, boundary), 'model': (0.0, 1.0)}[expert]


def codec_of(wan, parts, model):
    """The VAE's codec. Raises UserError where there is no VAE, or one whose latents have other channels than the model."""
    if parts.vae is None:
        raise UserError('config.wan.path has no VAE: name its file by config.wan.vae')
    codec = read_codec(parts.vae, dtype=wan.vae_dtype, chunk=wan.vae_chunk, tile=tiles(wan.vae_tile))
    channels = codec.latent_shape(1, 64, 64)[-1]
    if channels != model.in_channels:
        raise UserError(f'the VAE {parts.vae} has latents of {channels} channels, and the transformer takes {model.in_channels}: '
                        'Wan 2.1 and 2.2 A14B go with the VAE of 2.1 (16), TI2V-5B with that of 2.2 (48)')
    return codec


def tiles(side):
    """Tiles of so many pixels, a quarter of which neighbours share; None: whole pictures. Raises UserError."""
    if side is None:
        return None
    if side % 64:
        raise UserError(f'config.wan.vae_tile = {side} is no multiple of 64')
    return Tiles(size=side, overlap=side // 4)


def executed(config, model, mesh):
    """The WanConfig with the run's dtype, recomputation, attention, storage and adapters."""
    return dataclasses.replace(model, dtype=config.model.dtype, remat=config.model.remat, attention=config.model.attention,
                               lora=lora_of(config), reduce=config.mesh.reduce, mesh=mesh)
