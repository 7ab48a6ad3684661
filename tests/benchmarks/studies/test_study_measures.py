"""Measures on clips whose worth is known: golden ones, and copies that are worse in one thing."""
import dataclasses

import numpy as np
import pytest
from study_small import SIZES

from benchmarks.studies.measures import measures, raw
from benchmarks.studies.measures.raw import sprites_of
from benchmarks.studies.measures.reference import make_reference
from benchmarks.studies.world.clips import golden_clips
from benchmarks.studies.world.degradations import degrade_motion, degrade_visual
from benchmarks.studies.world.world import World

COUNT = 64  # with their second sprites two chunks of `raw.CHUNK`


@pytest.fixture(scope='module')
def reference():
    return make_reference(World(), 128)


@pytest.fixture(scope='module')
def clips():
    return golden_clips(World(seed=11), COUNT)


@pytest.fixture(scope='module')
def golden(clips, reference):
    return measures.measure(clips.frames, clips.captions, reference)


def test_golden_clips_pass_and_their_speed_is_recovered(clips, golden):
    assert golden['both'].mean() > 0.9 - 3 * np.sqrt(0.09 / COUNT)
    error = np.abs(golden['speed'] / clips.speed - 1)
    alone = clips.shape[:, 1] < 0
    assert error[alone].max() < 0.1 and np.quantile(error[alone], 0.9) < 0.03 and np.quantile(error, 0.9) < 0.1


def worse(clips, how):
    rng = np.random.default_rng(0)
    copies = {'frozen': lambda f: degrade_motion(f, 'held', 1.0), 'held': lambda f: degrade_motion(f, 'held', 0.25),
              'shuffled': lambda f: f[rng.permutation(len(f))], 'random': lambda f: rng.integers(0, 256, f.shape).astype(np.uint8),
              'black': np.zeros_like, 'blur': lambda f: degrade_visual(f, 'blur', 1.0, rng),
              'noise': lambda f: degrade_visual(f, 'noise', 1.0, rng),
              'coarse': lambda f: degrade_visual(f, 'resolution', 0.6, rng), 'half noise': lambda f: degrade_visual(f, 'noise', 0.5, rng)}
    return np.stack([copies[how](frames) for frames in clips.frames])


@pytest.mark.parametrize(('how', 'moves', 'looks'), [
    ('frozen', False, True), ('held', False, True), ('shuffled', False, True), ('random', False, False), ('black', False, False),
    ('blur', True, False), ('noise', True, False), ('coarse', True, False), ('half noise', True, False)])
def test_what_is_worse_in_one_thing_fails_in_that_alone(clips, reference, how, moves, looks):
    found = measures.measure(worse(clips, how), clips.captions, reference)
    assert all(np.isfinite(values).all() and values.shape == (COUNT,) for values in found.values())
    assert found['both'].mean() < 0.08
    assert found['moves_right'].mean() > 0.7 if moves else found['moves_right'].mean() < 0.05
    assert found['looks_right'].mean() > 0.7 if looks else found['looks_right'].mean() < 0.08
    assert how not in ('random', 'black') or max(found[name].mean() for name in ('motion', 'sharp', 'texture', 'identity')) < 0.25


def test_another_colour_is_another_object(clips, reference):
    coloured = np.array(['white' not in caption for caption in clips.captions])
    turned = measures.measure(clips.frames[coloured][..., [1, 2, 0]], clips.captions[coloured], reference)
    assert turned['identity'].mean() < 0.05 and turned['both'].mean() < 0.05


def test_frozen_clips_have_no_speed(clips, reference):
    frozen = measures.measure(worse(clips.take(slice(8)), 'frozen'), clips.captions[:8], reference)
    assert frozen['speed'].max() < 0.02 and frozen['motion'].max() < 0.05


def test_floats_measure_as_bytes_do_and_what_is_not_finite_counts_as_black(clips, golden, reference):
    frames, captions = clips.frames[:8].astype(np.float32), clips.captions[:8]
    same = measures.measure(frames, captions, reference)
    for name in golden:
        np.testing.assert_allclose(same[name], golden[name][:8], atol=1e-5)
    frames[:] = np.nan
    assert not measures.measure(frames, captions, reference)['both'].any()


def test_a_measure_of_a_clip_does_not_depend_on_its_neighbours(clips, golden, reference):
    few = measures.measure(clips.frames[10:13], clips.captions[10:13], reference)
    for name in golden:
        np.testing.assert_allclose(few[name], golden[name][10:13], atol=1e-5)


def test_large_clips_show_their_speed_to_three_percent_and_their_stripes(reference, monkeypatch):
    monkeypatch.setattr(raw, 'CHUNK', 6)  # no padding: a large clip costs 64 small ones
    world = SIZES['small']
    clips = golden_clips(dataclasses.replace(world, sprites=(1, 1), seed=5), 6)
    large = dataclasses.replace(reference, fps=world.fps)
    found = measures.measure(clips.frames, clips.captions, large)
    assert np.abs(found['speed'] / clips.speed - 1).max() < 0.03 and found['sharp'].min() > 0.6
    soft = np.stack([degrade_visual(frames, 'blur', 0.4, None) for frames in clips.frames])
    assert (measures.measure(soft, clips.captions, large)['sharp'] < 0.7 * found['sharp']).all()


def test_distances_see_what_is_worse(clips, golden, reference):
    near = measures.distances(clips.frames, golden, reference)
    for how in ('blur', 'noise'):
        assert measures.distances(worse(clips, how), golden, reference)['frechet'] > 2 * near['frechet'], how
    far = measures.distances(clips.frames, golden | {'speed': golden['speed'] + 0.3}, reference)
    assert far['speed'] == pytest.approx(0.3, abs=2 * near['speed'] + 0.01) and far['frechet'] == near['frechet']


def test_captions_name_sprites_or_are_refused():
    shape, colour = sprites_of(['a red disc', 'a white star and a blue ring'])
    assert shape.tolist() == [[0, -1], [4, 1]] and colour.tolist() == [[0, -1], [5, 2]]
    for caption in ('', 'a red cube', 'a red disc and a red disc and a red disc'):
        with pytest.raises(ValueError, match='a caption is like'):
            sprites_of([caption])


def test_a_reference_of_one_number_of_sprites_serves_both():
    bars = make_reference(World(sprites=(1, 1)), 24).slowest
    assert bars[0] == bars[1]
