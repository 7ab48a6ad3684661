"""A run on pixels: a model of this package, hashed words, and weights from a file of this package or from the seed."""
import contextlib
import dataclasses
import json

from tqd_jax.data.frames import FrameStore, cache_bytes, picture_options
from tqd_jax.data.library import load_library
from tqd_jax.diffusion.sampler import Sampling
from tqd_jax.foundations.adapters import lora_of
from tqd_jax.foundations.common import loader_of, with_shifts
from tqd_jax.latents.pixels import PixelCodec
from tqd_jax.models.assets import located
from tqd_jax.models.partition import select
from tqd_jax.models.wan import model as wan
from tqd_jax.text.facts import caption_facts
from tqd_jax.text.words import HashedWords
from transfer_jax.runtime.config import to_json
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.paths import path_of, scratch_of
from transfer_jax.runtime.tensors import load_weights

TEXT_LEN = 64  # words of a caption, where no weights say another number


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels:
    """The Foundation of a config without published weights."""
    config: object
    model: wan.WanConfig
    codec: PixelCodec
    text: HashedWords
    t_range: tuple = (0.0, 1.0)
    expert: str | None = None
    latents: bool = False
    storage: str = 'float32'

    def check(self, workdir, *, fresh):
        """Raises UserError where the file config.init_from, from which a fresh run starts, does not fit."""
        if fresh and self.config.init_from is not None:
            check_weights(self.config.init_from, self.model, self.config.train)

    def prepare(self, workdir):
        """Nothing, as frames are read from the clips: False."""
        return False

    def library(self, workdir, law):
        """All scored clips, their captions as tokens."""
        library = load_library(self.config.data, workdir, self.text, law)
        for line in caption_facts(library.captions, library.tokens, self.text):
            print(line, flush=True)
        return with_shifts(library, self.config.law, self.codec, self.model)

    def loader(self, library, workdir):
        """Of frames; decoded clips are cached where they fit."""
        return loader_of(self.config, self.model.mesh, library, frame_store(self.config.data, library, workdir))

    def frames_loader(self, library, workdir):
        """The same."""
        return loader_of(self.config, self.model.mesh, library, frame_store(self.config.data, library, workdir, quiet=True))

    def encode(self, video):
        """The frames themselves: the step encodes them."""
        return video

    def features(self, captions, workdir):
        """Tokens."""
        return self.text.prepare(captions)

    def parameters(self, abstract):
        """Those of the file config.init_from."""
        if self.config.init_from is None:
            return None
        whole = wan.abstract_params(dataclasses.replace(self.model, lora=None))
        return select(abstract, load_weights(weights_path(self.config.init_from), whole))

    def adapters(self, abstract):
        """None: adapters on pixels are drawn."""

    def conditions(self, workdir):
        """Neither pixels nor hashed words have parameters."""
        return {'codec': {}, 'text': {}}

    def sampling(self):
        """As config.sample says."""
        sample = self.config.sample
        return Sampling(**{name: getattr(sample, name) for name in ('steps', 'solver', 'guidance', 'shift', 'grid', 'integer_time')})

    def negative(self):
        """config.sample.negative."""
        return self.config.sample.negative

    def other(self, trained, frozen):
        """Raises ValueError: there is one model."""
        raise ValueError('a model of pixels has no experts')

    def decoder(self):
        """No parameters."""
        return {}

    def inputs(self, workdir):
        """'': frames and captions are all."""
        return ''

    @property
    def identity(self):
        """'': the config names the file."""
        return ''


def pixels(config, mesh):
    """The Foundation of pixels. Raises UserError where the file config.init_from does not fit the model."""
    model = model_config(config, mesh)
    text = HashedWords(length=model.text_len, vocab=model.vocab)
    return Pixels(config=config, model=model, codec=PixelCodec(), text=text)


def model_config(config, mesh):
    """The preset with the config's overrides; pixels in and out, captions as tokens."""
    section = config.model
    return dataclasses.replace(wan.PRESETS[section.preset], vocab=section.vocab, text_len=text_length(config), dtype=section.dtype,
                               remat=section.remat, attention=section.attention, in_channels=3, out_channels=3,
                               lora=lora_of(config), reduce=config.mesh.reduce, mesh=mesh)


def text_length(config):
    """How many words of a caption the model reads: config.model.text_len, or what config.init_from was trained with, or TEXT_LEN."""
    return config.model.text_len or _trained_length(config.init_from)


def _trained_length(name):
    beside = None
    if name is not None:
        with contextlib.suppress(UserError):  # a file that is not there is an error of its own, elsewhere
            beside = _config_beside(weights_path(name))
    if beside is None:
        return TEXT_LEN
    theirs = json.loads(beside.read_text())
    return theirs.get('model', {}).get('text_len') or _trained_length(theirs.get('init_from'))


def frame_store(data, library, workdir, quiet=False):
    """The cache of decoded clips where it fits into data.cache_gb, else straight decoding; prints which."""
    need, folder = cache_bytes(library, library.buckets, data.fps) / 1e9, scratch_of(path_of(workdir) / 'frames')
    cached = need <= data.cache_gb
    if not quiet:
        print(f'frames: {f"cached in {folder}" if cached else "decoded from the files each time"}; a cache takes about {need:.2g} GB, '
              f'config.data.cache_gb = {data.cache_gb:g}', flush=True)
    return FrameStore(rows=library, fps=data.fps, folder=str(folder.resolve()) if cached else None, options=picture_options(data))


def weights_path(name):
    """The file that config.init_from names. Raises UserError where there is none."""
    path = path_of(located(name))
    if not path.exists() or path.is_dir():
        raise UserError(f'config.init_from = {name!r}: there is no such file; None starts from scratch')
    return path


def _config_beside(path):
    """The config that a file of weights was trained with, or None."""
    return next((file for file in (path.with_suffix('.json'), path.with_name('config.json')) if file.exists()), None)


def check_weights(name, model, train):
    """Raises UserError where the weights that config.init_from names do not fit the WanConfig, or config.train says that they predict
    something else than the config beside them does."""
    path = weights_path(name)
    load_weights(path, wan.abstract_params(dataclasses.replace(model, lora=None)))
    beside = _config_beside(path)
    theirs = json.loads(beside.read_text()).get('train', {}) if beside else {}
    ours = to_json(train)
    for key in ('path', 'prediction', 'precondition'):
        if theirs.get(key, ours[key]) != ours[key]:
            raise UserError(f'config.train.{key} = {ours[key]!r}, but {path} was trained with {theirs[key]!r} ({beside}): '
                            f'use that, other weights, or config.init_from=None')
