"""A library becomes latents and text features: the VAE's encoder is loaded, used and freed, then the text encoder."""
import dataclasses
import hashlib
import json
import types

import jax
from jax.experimental import multihost_utils

from tqd_jax.cache.hashes import weights_hash
from tqd_jax.cache.keys import LatentSettings, TextSettings, describe, latent_keys
from tqd_jax.cache.latents import encode_latents
from tqd_jax.cache.reader import Reader
from tqd_jax.cache.shard import folder_of
from tqd_jax.cache.stores import open_latents, open_texts
from tqd_jax.cache.texts import encode_texts, on_devices
from tqd_jax.data.frames import FrameStore
from tqd_jax.data.library import load_library
from tqd_jax.data.skipped import add_skipped
from tqd_jax.foundations.captions import NoTokens
from tqd_jax.foundations.official import negative_of
from tqd_jax.models.io.files import open_tensors
from tqd_jax.text.umt5.clean import clean
from tqd_jax.text.umt5.encoder import open_weights, read_encoder
from tqd_jax.text.umt5.layerwise import encode_layers
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import write_atomically
from transfer_jax.runtime.parallel.mesh import make_mesh, replicated
from transfer_jax.runtime.progress import StopRequest

STORED = 'float32'  # latents on disk
CAPTIONS = 8  # a device and batch
BY_LAYER = 256  # captions that go through a block before the next is read


def encode_library(config, sources, workdir, cache):
    """Encodes what the cache lacks of the clips and captions of a prepared folder, and of the samples' captions; each process its part.

    Returns whether a request stopped it. Clips that cannot be encoded are added to skipped.jsonl. Raises UserError where they are more
    than config.data.max_skipped_fraction, or the text encoder or its tokenizer is missing.
    """
    library = load_library(config.data, workdir, NoTokens(), LawConfig(kind='uniform'))
    mesh = make_mesh(devices=jax.local_devices())
    with StopRequest() as stop:
        failed = _latents(config, sources, library, cache, mesh, stop)
        if not stop.requested:
            _texts(config, sources, [*sample_captions(config, sources), *library.captions], cache, mesh, stop)
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices('clips are encoded')
    if not stop.requested:
        _check_failed(failed, len(library), config.data.max_skipped_fraction, workdir)
    return stop.requested


def sample_captions(config, sources):
    """The captions of samples that no clip has: config.sample.captions, and the one that guidance leads away from."""
    return [*(config.sample.captions or ()), negative_of(config.sample, sources.defaults)]


def _latents(config, sources, library, cache, mesh, stop):
    """The clips that cannot be encoded, of this process's: [{'clip', 'reason'}]."""
    settings, codec = latent_settings(config, sources, cache), sources.codec
    if not open_latents(cache, library, settings).missing().size:
        return []
    params = jax.device_put(codec.load(sources.parts.vae, ('encoder',)), replicated(mesh))
    store = FrameStore(rows=library, fps=config.data.fps, folder=None)
    summary = encode_latents(library, store, codec, params, cache, settings=settings, batch=mesh.size, mesh=mesh,
                             workers=config.data.workers, prefetch=config.data.prefetch, process=jax.process_index(),
                             processes=jax.process_count(), stop=stop)
    print(f'latents: {summary.encoded} encoded, {summary.found} found, {len(summary.failed)} clips cannot be encoded, '
          f'{summary.seconds:.0f} s', flush=True)
    return list(summary.failed)


def _texts(config, sources, captions, cache, mesh, stop):
    settings = text_settings(config, sources, cache)
    store, numbers = open_texts(cache, captions, settings, clean)
    if not store.missing(numbers).size:
        return
    encoder, encode, batch = text_encoder(config, sources, mesh)
    summary = encode_texts(captions, encoder, encode, cache, settings=settings, clean=clean, batch=batch, process=jax.process_index(),
                           processes=jax.process_count(), stop=stop)
    cut = f', {len(summary.too_long)} are longer than {settings.length} tokens and cut, such as {summary.too_long[0][:60]!r}' \
        if summary.too_long else ''
    print(f'captions: {summary.encoded} encoded, {summary.found} found{cut}, {summary.seconds:.0f} s', flush=True)
    if summary.failed:
        raise UserError(f'the features of {len(summary.failed)} captions are not finite, such as {summary.failed[0]["caption"]!r}: '
                        'the text encoder\'s weights are damaged, or take --config.wan.text_dtype=float32')


def text_encoder(config, sources, mesh):
    """(encoder, encode, batch) of encode_texts: the whole encoder on the devices, or block by block from its file."""
    path, wan = sources.parts.text_encoder, config.wan
    encoder = read_encoder(path, sources.parts.tokenizer, length=sources.model.text_len, dtype=wan.text_dtype)
    if wan.text_by_layer:
        tensors = open_weights(path)
        return encoder, lambda tokens: encode_layers(tensors, encoder.config, tokens, dtype=wan.text_dtype), BY_LAYER
    params, batch = jax.device_put(encoder.load(path), replicated(mesh)), CAPTIONS * mesh.size
    return encoder, on_devices(encoder, params, batch=batch, mesh=mesh, stored=wan.text_dtype), batch


def latent_settings(config, sources, cache):
    """What the config's latents depend on."""
    weights = weights_hash(files_of(open_tensors(sources.parts.vae)), cache)
    return LatentSettings(codec=describe(sources.codec, weights), fps=config.data.fps, windows=config.data.windows, crop=config.data.crop,
                          stored=STORED)


def text_settings(config, sources, cache):
    """What the config's text features depend on; without a text encoder, what those of the cache depend on.

    Raises UserError where there is neither.
    """
    path, memory = sources.parts.text_encoder, cache / 'text.json'
    if path is None:
        if not memory.is_file():
            raise UserError(f'config.wan.path has no text encoder and {cache} no text features: name its file by config.wan.text_encoder')
        return same_dtype(TextSettings(**json.loads(memory.read_text())), config.wan.text_dtype, cache)
    encoder = read_encoder(path, sources.parts.tokenizer, length=sources.model.text_len, dtype=config.wan.text_dtype)
    settings = TextSettings(encoder=weights_hash(files_of(open_tensors(path)), cache),
                            tokenizer=hashlib.sha256(encoder.tokenizer.data).hexdigest(), length=sources.model.text_len,
                            compute=config.wan.text_dtype, stored=config.wan.text_dtype)
    text = json.dumps(dataclasses.asdict(settings), indent=1).encode()
    if not memory.is_file() or memory.read_bytes() != text:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(memory, text)
    return settings


def same_dtype(settings, dtype, cache):
    """The settings of a cache's features. Raises UserError where config.wan.text_dtype is another dtype than theirs."""
    if settings.stored != dtype:
        raise UserError(f'the text features in {cache} are {settings.stored}: set --config.wan.text_dtype={settings.stored}')
    return settings


def files_of(tensors):
    """The files in which tensors lie."""
    return sorted({tensor.path for tensor in tensors.values()})


def usable(cache, settings, columns, buckets):
    """Whether the cache has all latents of each clip, bool [n], of the columns of a Library."""
    rows = types.SimpleNamespace(ids=columns['ids'], bucket=columns['bucket'], buckets=buckets)
    return (Reader.open(folder_of(cache, 'latents')).find(latent_keys(settings, rows)) >= 0).all(axis=1)


def _check_failed(failed, clips, allowed, workdir):
    """Adds the clips that cannot be encoded to skipped.jsonl. Raises UserError where they are too many."""
    if not failed:
        return
    add_skipped(workdir / 'skipped.jsonl', failed)
    first = f'the first is {failed[0]["clip"]} ({failed[0]["reason"]})'
    if len(failed) > allowed * clips:
        raise UserError(f'{len(failed)} of {clips} clips cannot be encoded, more than config.data.max_skipped_fraction={allowed:g}; '
                        f'{first}; '
                        f'all are listed in {workdir / "skipped.jsonl"}')
    print(f'{len(failed)} of {clips} clips cannot be encoded and are skipped, see {workdir / "skipped.jsonl"}; {first}', flush=True)
