"""A library becomes latents and text features: the VAE's encoder is loaded, used and freed, then the text encoder."""
import dataclasses

import jax

from tqd_jax.cache.failed import FAILED
from tqd_jax.cache.keys import TextSettings
from tqd_jax.cache.latents import encode_latents, share_of
from tqd_jax.cache.stores import open_texts
from tqd_jax.cache.texts import encode_texts, on_devices
from tqd_jax.data.frames import FrameStore, picture_options
from tqd_jax.data.library import load_library
from tqd_jax.data.skipped import SKIPPED, add_lines, check_share, clips_of_table
from tqd_jax.foundations.captions import NoTokens
from tqd_jax.foundations.cut import list_cut, what_is_read
from tqd_jax.foundations.official import negative_of
from tqd_jax.foundations.settings import ENCODER, latent_settings, remember, text_settings
from tqd_jax.text.umt5.clean import clean
from tqd_jax.text.umt5.encoder import open_weights, read_encoder
from tqd_jax.text.umt5.layerwise import encode_layers
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.counts import counted, plural
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.parallel.gather import gathered, together
from transfer_jax.runtime.parallel.hosts import first_host
from transfer_jax.runtime.parallel.mesh import make_mesh, replicated
from transfer_jax.runtime.progress import StopRequest

CAPTIONS = 8  # a device and batch
BY_LAYER = 256  # captions that go through a block before the next is read


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoded:
    """What one process encoded. failed: its clips that cannot be, as {'clip', 'reason'}. cut: what_is_read of captions.

    usable: clips with scores, of all. texts: the TextSettings. stopped: by a request.
    """
    failed: list
    cut: list
    usable: int
    texts: TextSettings
    stopped: bool


def encode_library(config, sources, workdir, cache):
    """Encodes what the cache lacks of the clips and captions of a prepared folder, and of the samples' captions; each process its part.

    Returns whether a request stopped it. Clips that cannot be encoded are added to skipped.jsonl, captions that were cut to
    cut_captions.jsonl. Raises UserError in every process, once each has ended its part, where one raised it: where captions have no
    features and there is no text encoder, or the disk is full; and where these clips and those without scores are together more than
    config.data.max_skipped_fraction.
    """
    own = together(_encode, config, sources, workdir, cache)
    stopped = any(gathered([own.stopped]))
    failed, cut = gathered(own.failed), gathered(own.cut)
    first_host(_record, sources, workdir, cache, failed, cut, None if stopped else own.texts)
    if not stopped:
        _check_failed(failed, own.usable, config.data.max_skipped_fraction, workdir, cache)
    return stopped


def _record(sources, workdir, cache, failed, cut, texts):
    """Writes what could not be encoded or was cut, and, where the encoding came to its end, what the text features depend on."""
    add_lines(workdir / SKIPPED, failed)
    list_cut(cut, sources.model.text_len, workdir)
    if sources.parts.text_encoder is not None and texts is not None:
        remember(texts, cache)


def _encode(config, sources, workdir, cache):
    """What this process encoded; it waits for no other."""
    library = load_library(config.data, workdir, NoTokens(), LawConfig(kind='uniform'))
    captions = [*sample_captions(config, sources), *library.captions, *library.further_captions]
    texts = text_settings(config, sources, cache)
    lacking = lacks_texts(captions, texts, sources, cache)
    mesh, cut = make_mesh(devices=jax.local_devices()), []
    with StopRequest() as stop:
        failed = _latents(config, sources, library, cache, mesh, stop)
        if lacking and not stop.requested:
            cut = _texts(config, sources, captions, texts, cache, mesh, stop)
    return Encoded(failed=failed, cut=cut, usable=len(library), texts=texts, stopped=stop.requested)


def lacks_texts(captions, settings, sources, cache):
    """Whether the cache lacks features of a caption. Raises UserError where it does, and there is no text encoder."""
    store, numbers = open_texts(cache, captions, settings, clean)
    missing = store.missing(numbers)
    if missing.size and sources.parts.text_encoder is None:
        raise UserError(f'{cache} lacks the features of {counted(missing.size, "caption")}, such as {captions[missing[0]][:60]!r}, and '
                        f'config.wan.path has no text encoder: {ENCODER}')
    return bool(missing.size)


def sample_captions(config, sources):
    """The captions of samples that no clip has: config.sample.captions, and the one that guidance leads away from."""
    return [*(config.sample.captions or ()), negative_of(config.sample, sources.defaults)]


def _latents(config, sources, library, cache, mesh, stop):
    """The clips that cannot be encoded, of this process's: [{'clip', 'reason'}]."""
    settings, codec = latent_settings(config, sources, cache), sources.codec
    share = share_of(library, cache, settings, jax.process_index(), jax.process_count())
    if not len(share.todo):
        return list(share.failed.values())
    params = jax.device_put(codec.load(sources.parts.vae, ('encoder',)), replicated(mesh))
    store = FrameStore(rows=library, fps=config.data.fps, folder=None, options=picture_options(config.data))
    summary = encode_latents(library, store, codec, params, cache, settings=settings, batch=mesh.size, mesh=mesh,
                             workers=config.data.workers, prefetch=config.data.prefetch, process=jax.process_index(),
                             processes=jax.process_count(), stop=stop)
    print(f'latents: {summary.encoded} encoded, {summary.found} found, {counted(len(summary.failed), "clip")} cannot be encoded, '
          f'{summary.seconds:.0f} s', flush=True)
    return list(summary.failed)


def _texts(config, sources, captions, settings, cache, mesh, stop):
    """What is read of the captions that were cut, of this process's."""
    encoder, encode, batch = text_encoder(config, sources, mesh)
    summary = encode_texts(captions, encoder, encode, cache, settings=settings, clean=clean, batch=batch, process=jax.process_index(),
                           processes=jax.process_count(), stop=stop)
    print(f'captions: {summary.encoded} encoded, {summary.found} found, {summary.seconds:.0f} s', flush=True)
    if summary.failed:
        raise UserError(f'the features of {counted(len(summary.failed), "caption")} are not finite, such as '
                        f'{summary.failed[0]["caption"]!r}: '
                        'the text encoder\'s weights are damaged, or take --config.wan.text_dtype=float32')
    return what_is_read(summary.too_long, encoder)


def text_encoder(config, sources, mesh):
    """(encoder, encode, batch) of encode_texts: the whole encoder on the devices, or block by block from its file."""
    path, wan = sources.parts.text_encoder, config.wan
    encoder = read_encoder(path, sources.parts.tokenizer, length=sources.model.text_len, dtype=wan.text_dtype)
    if wan.text_by_layer:
        tensors = open_weights(path)
        return encoder, lambda tokens: encode_layers(tensors, encoder.config, tokens, dtype=wan.text_dtype), BY_LAYER
    params, batch = jax.device_put(encoder.load(path), replicated(mesh)), CAPTIONS * mesh.size
    return encoder, on_devices(encoder, params, batch=batch, mesh=mesh, stored=wan.text_dtype), batch


def _check_failed(failed, usable, allowed, workdir, cache):
    """Raises UserError where the clips that cannot be encoded, and those that have no scores, are together too many; else tells them."""
    if not failed:
        return
    clips, lost = clips_of_table(workdir), len({one['clip'] for one in failed})
    first = f'the first is {failed[0]["clip"]} ({failed[0]["reason"]})'
    again = f'; to try again, delete {cache / FAILED}' if (cache / FAILED).exists() else ''
    both = f'{clips - usable} have no scores, and {lost} cannot be encoded; {first}{again}'
    check_share(clips - usable + lost, clips, allowed, both, workdir)
    print(f'{lost} of {counted(clips, "clip")} cannot be encoded and {plural(lost, "is", "are")} skipped, see '
          f'{workdir / SKIPPED}; {first}{again}', flush=True)
