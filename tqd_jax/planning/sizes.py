"""What a config would stand on without its weights, clips and cache: a Foundation of sizes alone."""
import dataclasses
import pathlib

from tqd_jax.config import Config, check_shapes, check_whole
from tqd_jax.foundations.official import defaults_of, sampling_of
from tqd_jax.foundations.pixels import pixels
from tqd_jax.foundations.sources import codec_of, executed, model_of, parts_of, tiles
from tqd_jax.latents.wan_vae.codec import WanCodec
from tqd_jax.latents.wan_vae.config import WAN_2_1, WAN_2_2
from tqd_jax.models.assets import located
from tqd_jax.models.wan.config import PRESETS, WanConfig
from tqd_jax.text.features import Features
from transfer_jax.runtime.errors import UserError

AUTOENCODERS = {config.z_dim: config for config in (WAN_2_1, WAN_2_2)}  # by channels of the latents
BOUNDARY = 0.875  # of t, where the experts of Wan 2.2 T2V A14B meet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of published weights, and nothing of their values: what a plan needs of a Foundation.

    model: a WanConfig as the run executes it. codec: the VAE's. source: where the sizes come from, in words. experts: whether the weights
    are two transformers. t_range: the part of t that is trained.
    """
    config: Config
    model: WanConfig
    codec: WanCodec
    source: str
    experts: bool = False
    latents: bool = True

    storage = property(lambda self: self.config.wan.storage)

    @property
    def text(self):
        """The TextEncoder of features that a cache holds."""
        return Features(length=self.model.text_len, width=self.model.text_dim, dtype=self.config.wan.text_dtype)

    @property
    def t_range(self):
        """(low, high) of t that the trained model is for."""
        return {'high': (BOUNDARY, 1.0), 'low': (0.0, BOUNDARY), None: (0.0, 1.0)}[self.config.wan.expert]

    def sampling(self):
        """As config.sample says, and where it says None as the model's authors do."""
        boundary = BOUNDARY if self.experts else None
        return sampling_of(self.config.sample, defaults_of(self.model, boundary), boundary)

    def conditions(self, workdir):
        """As a run on latents has them: no codec, and the features of the empty caption."""
        return {'codec': {}, 'text': self.text.init(None)}


def checked(config: Config) -> Config:
    """The config, whose keys fit each other. Raises UserError where they do not, or nothing says how large the model is."""
    wan, model = config.wan, config.model
    if on_latents(config):  # the keys are those of a run on weights, whether they are here or not
        wan, model = (dataclasses.replace(wan, path=wan.path or wan.sizes), dataclasses.replace(model, preset=None))
    check_whole(dataclasses.replace(config, wan=wan, model=model))
    return config


def on_latents(config: Config) -> bool:
    """Whether the config is for published weights: they are named, or their sizes are."""
    return config.wan.path is not None or config.wan.sizes is not None


def foundation_of(config: Config, mesh):
    """The Foundation of pixels, or the Sizes of published weights, of a checked config on a mesh.

    Sizes come from the headers of the files where config.wan.path names some, else from config.model.preset, else from config.wan.sizes.
    Raises UserError where there is none of the three, or config.data.buckets does not fit the model.
    """
    if not on_latents(config):
        return pixels(config, mesh)
    path = config.wan.path
    there = path is not None and pathlib.Path(located(path)).exists()
    sizes = _of_files(config, mesh) if there else _of_preset(config, mesh)
    check_shapes(config.data.buckets, sizes.codec, sizes.model.patch)
    return sizes


def _of_files(config, mesh):
    wan, parts = config.wan, parts_of(config.wan)
    model = model_of(parts)
    codec = _codec(wan, model) if parts.vae is None else codec_of(wan, parts, model)
    return Sizes(config=config, model=executed(config, model, mesh), codec=codec, experts=len(parts.experts) > 1,
                 source=f'the headers of {wan.path}')


def _of_preset(config, mesh):
    name = config.model.preset or config.wan.sizes
    if name is None:
        raise UserError(f'config.wan.path = {config.wan.path!r} is not there, and nothing else says how large the model is: add '
                        '--config.wan.sizes=wan_1_3b, or another published model')
    model = PRESETS[name]
    return Sizes(config=config, model=executed(config, model, mesh), codec=_codec(config.wan, model), experts=name == 'wan_a14b',
                 source=f'the preset {name}')


def _codec(wan, model):
    return WanCodec(AUTOENCODERS[model.in_channels], wan.vae_dtype, wan.vae_chunk, tiles(wan.vae_tile))
