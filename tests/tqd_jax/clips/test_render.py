"""The rendered world: trajectories, shapes and degradations against closed forms, and a library that survives interruptions."""
import dataclasses
import math

import numpy as np
import pyarrow.parquet
import pytest

from tqd_jax.clips import read as video
from tqd_jax.clips import render, scenes, write
from transfer_jax.runtime.errors import UserError

AREAS = {'disc': math.pi, 'ring': math.pi * (1 - 0.4**2), 'triangle': 3 * math.sqrt(3) / 4, 'square': 2.0,
         'star': 5 * 0.45 * math.sin(math.pi / 5)}  # of a shape of radius 1


def read(manifest):
    table = pyarrow.parquet.read_table(manifest)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def test_a_scene_is_a_function_of_seed_and_index():
    assert scenes.scene(3, 7) == scenes.scene(3, 7)
    assert len({scenes.scene(seed, index) for seed in range(3) for index in range(20)}) == 60


def test_captions_name_what_is_shown():
    captions = [scenes.scene(0, index).caption for index in range(300)]
    alone = {f'a {colour} {shape}' for colour in scenes.COLOURS for shape in scenes.SHAPES}
    assert {sprite for caption in captions for sprite in caption.split(' and ')} == alone
    assert 0.08 < np.mean([' and ' in caption for caption in captions]) < 0.25
    with pytest.raises(ValueError, match='no sprite is a red cube'):
        dataclasses.replace(scenes.scene(0, 0).sprites[0], colour='red', shape='cube')


def test_kinds_hold_their_shares_in_every_library():
    for clips in (120, 240, 2000):
        kinds = [scenes.kind(5, index) for index in range(clips)]
        for kind, share in scenes.KINDS.items():
            assert kinds.count(kind) == pytest.approx(share * clips, abs=4)


@pytest.mark.parametrize('shape', scenes.SHAPES)
def test_shapes_have_their_areas_and_stay_centred(shape):
    grid = (np.arange(1200) + 0.5) / 500 - 1.2
    x, y = np.meshgrid(grid, grid)
    inside = scenes.outline(shape, x, y) < 0
    assert inside.sum() / 500**2 == pytest.approx(AREAS[shape], rel=5e-3)
    assert abs(x[inside].mean()) < 1e-3 and abs(y[inside].mean()) < 1e-3
    assert np.hypot(x, y)[inside].max() == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize('index', range(12))
def test_sprites_bounce_inside_at_the_speed_that_is_told(index):
    scene = scenes.scene(0, index)
    path = [scenes.positions(sprite, np.linspace(0, 2, 20_001)) for sprite in scene.sprites]
    lengths = [np.linalg.norm(np.diff(places, axis=0), axis=1).sum() for places in path]
    assert np.mean(lengths) / 2 / math.sqrt(2) == pytest.approx(scene.motion, rel=1e-3)
    for places, sprite in zip(path, scene.sprites, strict=True):
        np.testing.assert_allclose(places[0], sprite.start, atol=1e-9)
        assert places.min() >= sprite.radius - 1e-9 and places.max() <= 1 - sprite.radius + 1e-9


@pytest.mark.parametrize('index', [i for i in range(30) if len(scenes.scene(0, i).sprites) == 1][:10])
def test_frames_show_the_sprite_where_it_is(index):
    scene = scenes.scene(0, index)
    frames = scenes.render(scene)
    assert frames.shape == (24, 64, 64, 3) and frames.dtype == np.uint8
    empty = scenes.render(dataclasses.replace(scene, sprites=()))
    assert (empty == empty[0]).all()
    changed = (np.abs(frames.astype(int) - empty).max(-1) > 12).astype(float)
    rows, columns = np.mgrid[:64, :64] + 0.5
    found = np.stack([(changed * axis).sum((1, 2)) / changed.sum((1, 2)) for axis in (columns, rows)], axis=-1)
    np.testing.assert_allclose(found, 64 * scenes.positions(scene.sprites[0], np.arange(24) / 12), atol=1)


def test_ssim_has_its_closed_forms():
    rng = np.random.default_rng(0)
    clip = rng.integers(0, 256, (3, 32, 40, 3), dtype=np.uint8)
    assert render.ssim(clip, clip) == pytest.approx(1, abs=1e-6)
    a, b, c1 = 60, 90, (0.01 * 255) ** 2
    flat = np.ones((2, 16, 16, 3), np.uint8)
    assert render.ssim(a * flat, b * flat) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-3)


def test_ssim_of_one_window_is_the_papers_formula():
    x, y = np.random.default_rng(1).integers(0, 256, (2, 11, 11)).astype(float)
    bell = np.exp(-np.square(np.arange(-5, 6)) / 4.5)
    w = np.outer(bell, bell) / bell.sum() ** 2
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, vxy = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum(), (w * (x - mx) * (y - my)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    gray = [np.repeat(image.astype(np.uint8)[None, :, :, None], 3, axis=-1) for image in (x, y)]
    assert render.ssim(*gray) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize('degradation', render.DEGRADATIONS)
def test_visual_quality_falls_with_severity(tmp_path, degradation):
    pristine = scenes.render(scenes.scene(0, 2))
    values = []
    for severity in (0.0, 0.15, 0.4, 0.6, 0.8, 1.0):
        frames, crf = render.degrade(pristine, degradation, severity, np.random.default_rng(0))
        write.write_clip(tmp_path / 'clip.mp4', frames, 12, crf=crf)
        values.append(render.ssim(pristine, video.read_clip(tmp_path / 'clip.mp4', rate=12).frames))
    assert values[0] > 0.99 and values[1] > 0.9 and values[2] < 0.92 and 0.2 < values[-1] < 0.6
    assert (np.diff(values) < -0.01).all()


def test_degradations_do_what_they_say():
    rng, gray = np.random.default_rng(0), np.full((8, 64, 64, 3), 128, np.uint8)
    noisy, _ = render.degrade(gray, 'noise', 0.5, rng)
    assert noisy.std() == pytest.approx(22.5, rel=0.02) and noisy.mean() == pytest.approx(128, abs=0.5)
    for kept in ('blur', 'resolution', 'bitrate'):
        np.testing.assert_array_equal(render.degrade(gray, kept, 1.0, rng)[0], gray)
    wave = (128 + 100 * np.sin(2 * np.pi * np.arange(64) / 16)).round().astype(np.uint8)
    blurred, _ = render.degrade(np.broadcast_to(wave[:, None], (1, 64, 64, 3)), 'blur', 0.5, rng)
    gain = math.exp(-(2 * math.pi / 16 * 1.4) ** 2 / 2)  # of a Gaussian of sigma 1.4 pixels
    assert np.ptp(blurred[0, :, 16:48]) == pytest.approx(200 * gain, rel=0.03)
    assert render.degrade(gray, 'bitrate', 1.0, rng)[1] == 46 > render.degrade(gray, 'bitrate', 0.1, rng)[1]
    for wrong in (('blur', 1.1), ('sepia', 0.5)):
        with pytest.raises(ValueError, match=wrong[0]):
            render.degrade(gray, *wrong, rng)


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    return read(render.render_library(tmp_path_factory.mktemp('library') / 'clips', clips=120))


def test_the_library_is_what_the_paper_found(library):
    assert np.mean(library['kind'] == 'golden') == pytest.approx(0.219, abs=0.01)
    assert -0.4 < np.corrcoef(library['true_motion'], library['true_visual'])[0, 1] < -0.1


def test_kinds_are_rich_or_poor_in_what_they_say(library):
    moving, good = np.isin(library['kind'], ['golden', 'motion']), np.isin(library['kind'], ['golden', 'visual'])
    assert library['true_motion'][moving].min() > 0.3 > 0.06 > library['true_motion'][~moving].max()
    assert library['true_visual'][good].min() > 0.9 > 0.88 > library['true_visual'][~good].max()
    assert set(library['degradation'][good]) == set(library['degradation'][~good]) == set(render.DEGRADATIONS)
    assert len(np.unique(library['true_visual'])) == len(np.unique(library['true_motion'])) == 120


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / 'clips').iterdir()}


def test_a_clip_is_the_same_in_every_library(tmp_path):
    few, many = (render.render_library(tmp_path / str(clips), clips=clips) for clips in (3, 5))
    for name in read(few)['clip']:
        assert (few.parent / name).read_bytes() == (many.parent / name).read_bytes()
    assert all(read(few)[column].tolist() == read(many)[column][:3].tolist() for column in read(few))


def test_a_rendered_folder_is_left_alone_and_other_settings_replace_it(tmp_path):
    manifest = render.render_library(tmp_path, clips=4)
    before = stamps(tmp_path)
    render.render_library(tmp_path, clips=4)
    assert stamps(tmp_path) == before
    render.render_library(tmp_path, clips=2, seed=1, size=32, fps=8, seconds=1)
    assert sorted(stamps(tmp_path)) == ['0000.mp4', '0001.mp4']
    clip = video.read_clip(tmp_path / read(manifest)['clip'][1], rate=8)
    assert clip.frames.shape == (8, 32, 32, 3)


def test_an_interrupted_library_is_completed(tmp_path, monkeypatch):
    calls = []

    def dying(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write.write_clip(*args, **options)

    whole = render.render_library(tmp_path / 'whole', clips=4)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(render, 'write_clip', dying)
        render.render_library(tmp_path / 'half', clips=4)
    before = stamps(tmp_path / 'half')
    assert sorted(before) == ['0000.mp4', '0001.mp4'] and not (tmp_path / 'half' / 'manifest.parquet').exists()
    half = render.render_library(tmp_path / 'half', clips=4)
    assert before.items() <= stamps(tmp_path / 'half').items()
    assert half.read_bytes() == whole.read_bytes()


def test_somebody_elses_folder_is_not_touched(tmp_path):
    (tmp_path / 'clips').mkdir()
    (tmp_path / 'clips' / '0000.mp4').write_bytes(b'mine')
    with pytest.raises(UserError, match='name another folder'):
        render.render_library(tmp_path, clips=2)
    assert (tmp_path / 'clips' / '0000.mp4').read_bytes() == b'mine'


@pytest.mark.parametrize('settings', [{'clips': 0}, {'size': 33}, {'size': 8}, {'fps': 1, 'seconds': 1}, {'seed': -1}])
def test_impossible_libraries_are_refused(tmp_path, settings):
    with pytest.raises(ValueError, match=str(next(iter(settings)))):
        render.render_library(tmp_path, **settings)
