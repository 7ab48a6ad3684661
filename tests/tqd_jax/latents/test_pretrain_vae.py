"""Training of the small autoencoder, from a few rendered clips: its updates, and that a stop changes nothing."""
import dataclasses
import itertools
import json
import os
import pathlib
import signal

import jax
import numpy as np
import pytest

import tqd_jax
from tqd_jax.latents.wan_vae.codec import read_codec
from tqd_jax.latents.wan_vae.encoder import encode_posterior
from tqd_jax.pretrain_vae import train as training
from tqd_jax.pretrain_vae.clips import crops, rendered_clips
from tqd_jax.pretrain_vae.publish import as_json
from tqd_jax.pretrain_vae.settings import TINY, Phase, Settings
from tqd_jax.pretrain_vae.step import initial_state, loss, rate_at, update
from transfer_jax.runtime.errors import UserError
from transfer_jax.runtime.keys import stream_key

PHASE = Phase(steps=4, batch=2, frames=5, side=16, first_rate=1e-2, last_rate=1e-3)
SMALL = dataclasses.replace(TINY, base_dim=4, decoder_base_dim=4, z_dim=4, mean=(0.0,) * 4, std=(1.0,) * 4)
QUICK = Settings(clips=3, warmup=2, phases=(PHASE, dataclasses.replace(PHASE, steps=2, decoder_only=True)), vae=SMALL)


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    return rendered_clips(tmp_path_factory.mktemp('clips') / 'library', 3, 9)


def equal(one, other):
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, one, other)))


def test_updates_lower_the_loss_of_a_batch(clips):
    """Held against the same draw of the posterior; every leaf but those of no use has a finite gradient that is not 0."""
    state, video, key = initial_state(QUICK), crops(clips, PHASE, 0, 0), stream_key(5, 'held')
    value = jax.jit(loss, static_argnames='settings')
    first = value(state.params, video, key, QUICK)
    gradient = jax.grad(lambda params: loss(params, video, key, QUICK)[0])(state.params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    for step in range(30):
        state, measured = update(state, video, np.uint32(step), np.float32(5e-3), QUICK)
    assert measured['gradient'] > 0 and value(state.params, video, key, QUICK)[0] < 0.8 * first[0]
    assert first[0] == pytest.approx(float(first[1]['mse'] + QUICK.kl * first[1]['kl']))
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {np.dtype('float32')}


def test_an_encoder_may_stay(clips):
    """It is the average's, bit for bit; the decoder and its average go on."""
    state, video = initial_state(QUICK), crops(clips, PHASE, 0, 0)
    for step in range(12):
        state, _ = update(state, video, np.uint32(step), np.float32(5e-3), QUICK)
    before = jax.tree.map(np.asarray, state)
    for step in range(12, 14):
        state, _ = update(state, video, np.uint32(step), np.float32(5e-3), QUICK, decoder_only=True)
    assert equal(state.average['encoder'], before.average['encoder']) and equal(state.params['encoder'], before.average['encoder'])
    assert not equal(before.params['encoder'], before.average['encoder'])
    assert not equal(state.params['decoder'], before.params['decoder']) and not equal(state.average['decoder'], before.average['decoder'])


def test_crops_are_a_function_of_seed_and_step(clips):
    first, again, other = crops(clips, PHASE, 0, 3), crops(clips, PHASE, 0, 3), crops(clips, PHASE, 0, 4)
    assert first.shape == (2, 5, 16, 16, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    places = itertools.product(range(3), range(20), range(49), range(49))
    assert any(np.array_equal(first[0], clips[i, t:t + 5, y:y + 16, x:x + 16]) for i, t, y, x in places)


def test_the_learning_rate_rises_and_falls_in_every_phase():
    assert rate_at(0, QUICK) == pytest.approx(5e-3) and rate_at(1, QUICK) == pytest.approx(1e-3 + 9e-3 * (1 + 2**-0.5) / 2)
    assert rate_at(2, QUICK) == pytest.approx(5.5e-3) and rate_at(4, QUICK) == pytest.approx(1e-2)
    with pytest.raises(ValueError, match='6 updates, and none has the number 6'):
        QUICK.at(6)


def test_a_stopped_run_ends_with_the_same_bits(tmp_path, monkeypatch):
    """Files and log too; the folder is one that read_codec takes, with its latents' mean and deviation."""
    monkeypatch.setattr(training, 'LOG_EVERY', 2)
    monkeypatch.setattr(training, 'SAVE_EVERY', 3)
    training.train(QUICK, tmp_path / 'whole', tmp_path / 'out')
    with monkeypatch.context() as patch:
        patch.setattr(training, 'update', lambda state, video, step, *rest: (
            os.kill(os.getpid(), signal.SIGTERM) if step == 2 else None, update(state, video, step, *rest))[1])
        training.train(QUICK, tmp_path / 'parts', tmp_path / 'out2')
    assert not (tmp_path / 'out2').exists()
    training.train(QUICK, tmp_path / 'parts', tmp_path / 'elsewhere')
    training.train(QUICK, tmp_path / 'parts', tmp_path / 'out2')  # a finished run is published again
    for file in ('diffusion_pytorch_model.safetensors', 'config.json', 'settings.json', 'log.jsonl'):
        assert pathlib.Path(tmp_path, 'out', file).read_bytes() == pathlib.Path(tmp_path, 'out2', file).read_bytes(), file
    assert [json.loads(row)['step'] for row in (tmp_path / 'out' / 'log.jsonl').read_text().splitlines()] == [2, 4, 6]
    codec = read_codec(tmp_path / 'out', chunk=None)
    assert dataclasses.replace(codec.config, mean=SMALL.mean, std=SMALL.std) == SMALL
    clips = rendered_clips(tmp_path / 'whole' / 'library', 3, QUICK.clips_seed)
    params = codec.load(tmp_path / 'out')
    latents = np.asarray(codec.encode(params, clips[:, :17]), np.float64)
    np.testing.assert_allclose(latents.mean(axis=(0, 1, 2, 3)), 0, atol=2e-2)
    mean, log_variance = map(np.asarray, encode_posterior(params['encoder'], clips[:, :17], codec.config, None))
    draws = mean + np.exp(log_variance / 2) * np.random.default_rng(0).standard_normal(mean.shape)
    np.testing.assert_allclose(draws.std(axis=(0, 1, 2, 3)) / codec.config.std, 1, atol=3e-2)


@pytest.mark.parametrize('recorded', [True, False])
def test_a_folder_of_other_settings_is_refused(tmp_path, monkeypatch, recorded):
    """Also one of an earlier version, which stored no settings: what is published must be what was trained."""
    monkeypatch.setattr(training, 'rendered_clips', lambda *_: pytest.fail('the clips are rendered after the check'))
    (tmp_path / 'state.npz').touch()
    if recorded:
        (tmp_path / 'settings.json').write_text(as_json(QUICK))
    with pytest.raises(UserError, match=r'other settings \(kl, phases\)' if recorded else r'other settings \(seed, clips_seed, '):
        training.train(dataclasses.replace(QUICK, kl=0.5, phases=(PHASE,)), tmp_path, tmp_path / 'out')


def test_the_shipped_autoencoder_is_what_the_settings_make():
    assert (pathlib.Path(tqd_jax.__file__).parent / 'assets/tiny_wan/vae/settings.json').read_text() == as_json(Settings())
