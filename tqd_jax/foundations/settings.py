"""What the latents and text features of a run depend on, by its config and the user's files, and checks of the text encoder."""
import dataclasses
import hashlib
import json
import types

from tqd_jax.cache.hashes import weights_hash
from tqd_jax.cache.keys import LatentSettings, TextSettings, describe, latent_keys
from tqd_jax.cache.reader import Reader
from tqd_jax.cache.shard import folder_of
from tqd_jax.data.frames import picture_options
from tqd_jax.models.io.files import open_tensors
from tqd_jax.text.umt5.encoder import open_weights, read_encoder
from tqd_jax.text.umt5.weights import check as check_whole
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.files import replace_atomically

STORED = 'float32'  # latents on disk
MEMORY = 'text.json'  # of a cache: what its text features depend on, one object for each text encoder and dtype, the newest last
ENCODER = 'name the file of UMT5 by config.wan.text_encoder'


def latent_settings(config, sources, cache):
    """What the config's latents depend on."""
    weights = weights_hash(files_of(open_tensors(sources.parts.vae)), cache)
    return LatentSettings(codec=describe(sources.codec, weights), fps=config.data.fps, windows=config.data.windows, crop=config.data.crop,
                          stored=STORED, pictures=picture_options(config.data).version)


def text_settings(config, sources, cache):
    """What the config's text features depend on; without a text encoder, what the newest of its dtype in the cache depend on.

    Raises UserError where there is neither.
    """
    path = sources.parts.text_encoder
    if path is None:
        return remembered(cache, config.wan.text_dtype)
    encoder = read_encoder(path, sources.parts.tokenizer, length=sources.model.text_len, dtype=config.wan.text_dtype)
    return TextSettings(encoder=weights_hash(files_of(open_tensors(path)), cache),
                        tokenizer=hashlib.sha256(encoder.tokenizer.data).hexdigest(), length=sources.model.text_len,
                        compute=config.wan.text_dtype, stored=config.wan.text_dtype)


def remember(settings, cache):
    """Writes the TextSettings to the cache as the newest of those that it remembers, for runs that have no text encoder."""
    memory = cache / MEMORY
    try:
        before = _read(memory)
    except (ValueError, TypeError):  # damaged
        before = []
    after = [*(one for one in before if one != settings), settings]
    if after != before:
        text = json.dumps(list(map(dataclasses.asdict, after)), indent=1).encode()
        replace_atomically(memory, lambda part: part.write_bytes(text), concurrent=True)


def remembered(cache, dtype):
    """The newest TextSettings of a cache's features of this dtype. Raises UserError where there are none."""
    memory = cache / MEMORY
    try:
        memories = _read(memory)
    except (ValueError, TypeError) as error:
        raise UserError(f'{memory} is damaged ({error}): delete it, and {ENCODER}') from error
    if not memories:
        raise UserError(f'config.wan.path has no text encoder, and {cache} has no text features: {ENCODER}')
    fitting = [settings for settings in memories if settings.stored == dtype]
    if not fitting:
        there = ' and '.join(sorted({settings.stored for settings in memories}))
        raise UserError(f'the text features in {cache} are {there}: set --config.wan.text_dtype={memories[-1].stored}')
    return fitting[-1]


def _read(memory):
    """The TextSettings of a file, the newest last, [] without one; earlier versions wrote one object and no list."""
    found = json.loads(memory.read_text()) if memory.exists() else []
    return [TextSettings(**one) for one in ([found] if isinstance(found, dict) else found)]


def check_texts(config, sources, cache):
    """Raises UserError where the text encoder's file is not whole, its tokenizer is missing, or there are neither it nor features."""
    path = sources.parts.text_encoder
    if path is None:
        remembered(cache, config.wan.text_dtype)
        return
    encoder = read_encoder(path, sources.parts.tokenizer, length=sources.model.text_len, dtype=config.wan.text_dtype)
    if encoder.config.width != sources.model.text_dim:
        raise UserError(f'the text encoder {path} gives features of {encoder.config.width} numbers, and the transformer takes '
                        f'{sources.model.text_dim}: name that of the model by config.wan.text_encoder')
    check_whole(open_weights(path), encoder.config)


def files_of(tensors):
    """The files in which tensors lie."""
    return sorted({tensor.path for tensor in tensors.values()})


def usable(cache, settings, columns, buckets):
    """Whether the cache has all latents of each clip, bool [n], of the columns of a Library."""
    rows = types.SimpleNamespace(ids=columns['ids'], bucket=columns['bucket'], buckets=buckets)
    return (Reader.open(folder_of(cache, 'latents')).find(latent_keys(settings, rows)) >= 0).all(axis=1)
