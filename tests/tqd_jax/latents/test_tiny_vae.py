"""The autoencoder that the package ships: its folder, its latents, and how near it comes to clips that it never saw."""
import json
import pathlib

import jax
import numpy as np
import pytest

import tqd_jax
from tqd_jax.latents.wan_vae.codec import read_codec
from tqd_jax.latents.wan_vae.encoder import encode_posterior
from tqd_jax.pretrain_vae.clips import rendered_clips

FOLDER = pathlib.Path(tqd_jax.__file__).parent / 'assets/tiny_wan/vae'
CLIPS, SEED = 16, 11  # of a library that no training saw


@pytest.fixture(scope='module')
def shipped(tmp_path_factory):
    """(codec, clips, latents, variances of their posteriors, reconstructions) of 17 frames of 64 x 64."""
    clips = rendered_clips(tmp_path_factory.mktemp('clips') / 'library', CLIPS, SEED)[:, :17]
    codec = read_codec(FOLDER, chunk=None)
    params = codec.load(FOLDER)
    latents = jax.jit(codec.encode)(params, clips)
    noise = jax.jit(lambda video: encode_posterior(params['encoder'], video, codec.config, None)[1])(clips)
    variances = np.exp(np.asarray(noise, np.float64)) / np.square(codec.config.std)
    return codec, clips, np.asarray(latents, np.float64), variances, np.asarray(jax.jit(codec.decode)(params, latents))


def test_the_folder_is_small_and_says_how_it_was_made():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 4e6
    settings, config = (json.loads((FOLDER / name).read_text()) for name in ('settings.json', 'config.json'))
    rows = [json.loads(row) for row in (FOLDER / 'log.jsonl').read_text().splitlines()]
    assert rows[-1]['step'] == sum(phase['steps'] for phase in settings['phases']) and settings['clips_seed'] not in (0, SEED)
    assert len(config['latents_mean']) == len(config['latents_std']) == config['z_dim'] == 16
    assert all(np.isfinite(list(row.values())).all() for row in rows)


def test_strides_are_those_of_wan(shipped):
    codec = shipped[0]
    assert codec.latent_shape(17, 64, 64) == (5, 8, 8, 16) and (codec.config.pixel_stride, codec.config.frame_stride) == (8, 4)


def test_latents_are_normalised(shipped):
    """On clips of another seed than those measured: channel by channel, within what 16 clips leave open. Of a channel's variance the
    posterior's noise is a part: little, or all of it where the channel carries nothing, as one does."""
    latents, noise = (values.reshape(-1, 16) for values in shipped[2:4])
    noise = noise.mean(axis=0)
    assert np.abs(latents.mean(axis=0)).max() < 0.4 and (np.abs(np.log(latents.var(axis=0) + noise)) < 0.4).all()
    assert ((noise < 0.5) | (noise > 0.9)).all() and (noise < 0.5).sum() == 15


def test_reconstructions_are_near(shipped):
    """Of the middle clip; noise cannot be had from a latent, and every eighth clip or so is mostly noise. The aim is 32 dB."""
    _, clips, _, _, outputs = shipped
    error = np.square(clips.astype(np.float64) - outputs).mean(axis=(1, 2, 3, 4))
    assert 10 * np.log10(255**2 / np.median(error)) > 32
