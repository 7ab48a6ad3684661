"""A run on published weights of Wan: latents and text features of a cache, the transformer from the user's files."""
import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from tqd_jax.cache.stores import open_latents, open_texts
from tqd_jax.data.expert import for_expert
from tqd_jax.data.frames import FrameStore, picture_options
from tqd_jax.data.library import load_library
from tqd_jax.foundations.adapters import adapters_of, checked_file
from tqd_jax.foundations.captions import NoTokens
from tqd_jax.foundations.common import loader_of, with_shifts
from tqd_jax.foundations.encode import encode_library
from tqd_jax.foundations.identity import identity_of
from tqd_jax.foundations.official import negative_of, sampling_of
from tqd_jax.foundations.settings import check_texts, latent_settings, text_settings, usable
from tqd_jax.foundations.sources import Sources, open_sources
from tqd_jax.models.io.files import open_tensors
from tqd_jax.models.io.wan import load_params
from tqd_jax.models.partition import is_adapter, merge, partition
from tqd_jax.models.wan.frozen import stored
from tqd_jax.text.features import Features
from tqd_jax.text.umt5.clean import clean
from transfer_jax.runtime.paths import AnyPath, path_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedWan:
    """The Foundation of config.wan. cache: the folder of scores, latents and features; None: of config.data.cache, or in the workdir.

    identity: of the transformer's files at the start, whatever becomes of them later.
    """
    config: object
    sources: Sources
    identity: str
    cache: AnyPath | None = None
    latents: bool = True

    model = property(lambda self: self.sources.model)
    codec = property(lambda self: self.sources.codec)
    t_range = property(lambda self: self.sources.t_range)
    storage = property(lambda self: self.config.wan.storage)

    @property
    def expert(self):
        """'high' or 'low', or None for a model of all t."""
        return None if self.sources.expert == 'model' else self.sources.expert

    @property
    def text(self):
        """The TextEncoder of features that were computed beforehand."""
        return Features(length=self.model.text_len, width=self.model.text_dim, dtype=self.config.wan.text_dtype)

    def folder(self, workdir):
        """The cache's folder."""
        return self.cache or path_of(self.config.data.cache or path_of(workdir) / 'cache')

    def check(self, workdir, *, fresh):
        """Raises UserError where there are neither a text encoder nor text features, or the file config.lora.init_from does not fit."""
        check_texts(self.config, self.sources, self.folder(workdir))
        if fresh and self.config.lora.init_from is not None:
            checked_file(self.config.lora.init_from, self.model)

    def prepare(self, workdir):
        """Encodes what the cache lacks of the library's clips and captions; whether a request stopped it."""
        return encode_library(self.config, self.sources, workdir, self.folder(workdir))

    def library(self, workdir, law):
        """The clips of which the cache has latents, drawn as often as the expert needs; tokens are the captions' numbers."""
        settings = latent_settings(self.config, self.sources, self.folder(workdir))
        has = functools.partial(usable, self.folder(workdir), settings)
        library = load_library(self.config.data, workdir, NoTokens(), law, has)
        numbers = self._texts(workdir, library.captions, library.further_captions)[1]
        library = dataclasses.replace(library, tokens=numbers[:len(library)], further_tokens=numbers[len(library):])
        library = with_shifts(library, self.config.law, self.codec, self.model)
        if self.expert is None:
            return library
        data = self.config.data
        training, _ = library.held_out(data.held_out_fraction, data.held_out_clips, self.config.seed)
        return for_expert(library, self.expert, self.t_range, training)

    def loader(self, library, workdir):
        """Of latents and features."""
        settings = latent_settings(self.config, self.sources, self.folder(workdir))
        store = open_latents(self.folder(workdir), library, settings)
        store.fetch()
        return self._loader(library, store, workdir)

    def frames_loader(self, library, workdir):
        """Of frames, decoded from the clips, and features."""
        store = FrameStore(rows=library, fps=self.config.data.fps, folder=None, options=picture_options(self.config.data))
        return self._loader(library, store, workdir)

    def _loader(self, library, store, workdir):
        texts = self._texts(workdir, library.captions, library.further_captions)[0]
        return loader_of(self.config, self.model.mesh, library, store, texts=texts)

    def encode(self, video):
        """Latents of frames, a clip at a time; the VAE's encoder is loaded for it."""
        params = jax.device_put(self.codec.load(self.sources.parts.vae, ('encoder',)))
        encode = jax.jit(self.codec.encode)
        return np.concatenate([np.asarray(encode(params, clip[None])) for clip in np.asarray(video)])

    def features(self, captions, workdir):
        """Features of captions that encode_library adds: those of config.sample, and the negative one."""
        store, numbers = self._texts(workdir, tuple(captions))
        return store.rows(numbers)

    def parameters(self, abstract):
        """Those of config.wan.path, sharded as they are read."""
        return self._read(self.sources.expert, abstract)

    def adapters(self, abstract):
        """Those of the file config.lora.init_from."""
        return adapters_of(self.config.lora.init_from, self.model, abstract)

    def conditions(self, workdir):
        """The features of the empty caption; latents need no codec within a step."""
        store, _ = self._texts(workdir, ())
        return {'codec': {}, 'text': {'empty': store.rows(np.array([store.empty]))[0]}}

    def sampling(self):
        """As config.sample says, and where it says None as the model's authors do."""
        return sampling_of(self.config.sample, self.sources.defaults, self.sources.parts.boundary)

    def negative(self):
        """config.sample.negative, or the authors' own."""
        return negative_of(self.config.sample, self.sources.defaults)

    def other(self, trained, frozen):
        """The other expert as published, all of it frozen and stored as config.wan.storage says; its adapters are zero."""
        name, = set(self.sources.parts.experts) - {self.sources.expert}
        adapters, base = partition(trained, is_adapter)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype, device=leaf.sharding), adapters)
        return zeros, self._read(name, merge(stored(base, self.storage), frozen))

    def decoder(self):
        """Of the VAE's file; the part that decodes."""
        return jax.device_put(self.codec.load(self.sources.parts.vae, ('decoder',)))

    def inputs(self, workdir):
        """The weights and settings of the VAE and the text encoder."""
        folder = self.folder(workdir)
        return f'{latent_settings(self.config, self.sources, folder)} {text_settings(self.config, self.sources, folder)}'

    def _read(self, expert, abstract):
        return load_params(open_tensors(self.sources.parts.experts[expert]), self.model, abstract) if abstract else {}

    @functools.cached_property
    def _texts(self):
        """(workdir, captions, further ones) -> (TextStore, numbers of all), after prepare: opened once for those."""
        def store_of(workdir, captions, further=()):
            folder = self.folder(workdir)
            store, numbers = open_texts(folder, itertools.chain(captions, further), text_settings(self.config, self.sources, folder), clean)
            store.fetch()
            return store, numbers
        return functools.lru_cache(maxsize=3)(store_of)  # captions of the library, those of samples, the empty one


def published(config, mesh, cache=None):
    """The Foundation of config.wan, from headers and a number of each of the transformer's tensors.

    Raises UserError where the files are not whole or do not fit together.
    """
    sources = open_sources(config, mesh)
    return PublishedWan(config=config, sources=sources, identity=identity_of(open_tensors(sources.parts.experts[sources.expert])),
                        cache=cache)
