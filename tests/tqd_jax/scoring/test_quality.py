"""Look against known truth, closed forms, limits and orderings of copies; both scores against the rendered library's."""
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.stats as st
from scenes import half, moving, texture

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.render import render_library
from tqd_jax.scoring.row import score_clip
from tqd_jax.scoring.visual.visual import visual


@pytest.mark.parametrize('size', [(16, 16), (16, 40), (300, 17)])
@pytest.mark.parametrize('level', [0, 128, 255])
def test_flat_and_tiny_frames_show_nothing(size, level):
    assert visual(np.full((3, *size, 3), level, np.uint8))['visual'] == 0


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    path = render_library(tmp_path_factory.mktemp('rendered'), clips=120)
    rows = pq.read_table(path).to_pylist()
    return rows, [score_clip(path.parent / row['clip']) for row in rows]


def test_scores_agree_with_the_rendered_truth(rendered):
    rows, scores = rendered
    for score, truth in (('motion', 'true_motion'), ('visual', 'true_visual')):
        assert st.spearmanr([s[score] for s in scores], [row[truth] for row in rows])[0] >= 0.9, score


def test_noise_is_estimated_in_grey_levels():
    flat = np.full((2, 128, 128, 3), 128.0)
    for sigma in (4.0, 12.0):
        grey = np.random.default_rng(0).normal(0, sigma, (2, 128, 128, 1))
        noise = visual(np.clip(flat + grey, 0, 255).round().astype(np.uint8))['noise']
        assert noise == pytest.approx(sigma / 2, rel=0.1)  # as seen at half the size, where a grey level is the mean of four
    assert visual(moving(0, 2))['noise'] < 0.25


def test_detail_is_the_share_of_the_picture_that_shows_any():
    plain = np.full((1, 128, 128, 3), 128, np.uint8)
    rich = cv2.addWeighted(texture(1)[:128, :128], 2.0, plain[0], 0, -128)[None]
    whole, none, both = (visual(frames)['detail'] for frames in (rich, plain, np.concatenate([rich, plain], axis=2)))
    assert none == 0 and whole > 0.4 and both == pytest.approx(whole / 2, abs=0.06)


@pytest.mark.parametrize('block', [8, 6])
def test_blocks_are_seen_where_they_lie_and_pixels_are_no_blocks(block):
    levels = np.random.default_rng(3).integers(60, 200, (16, 20), dtype=np.uint8)
    frames = cv2.resize(levels, (20 * block, 16 * block), interpolation=cv2.INTER_NEAREST)[None, ..., None].repeat(3, -1)
    assert visual(frames, block / 8)['blockiness'] > 20 > 1 > visual(frames[:, 3:, 3:], block / 8)['blockiness']
    assert visual(moving(0, 1))['blockiness'] == 0


def test_a_picture_of_the_same_scene_at_half_the_size_looks_the_same():
    spectrum = np.fft.rfft2(np.random.default_rng(2).standard_normal((512, 512)))
    radius = np.maximum(1, np.hypot(np.fft.fftfreq(512, 1 / 512)[:, None], np.fft.rfftfreq(512, 1 / 512)))
    picture = np.fft.irfft2(spectrum / radius)  # 1 / f, as nature has it
    grey = np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)[..., None].repeat(3, -1)
    whole, small = visual(grey[None])['visual'], visual(half(grey)[None])['visual']
    up = cv2.resize(half(grey), (512, 512), interpolation=cv2.INTER_LINEAR)
    assert small == pytest.approx(whole, abs=0.05) and visual(up[None])['visual'] < whole  # real clips spread over more than ten times that


VARIANTS = {
    'blur': lambda frames: np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames]),
    'noise': lambda frames: np.clip(frames + np.random.default_rng(0).normal(0, 20, frames.shape), 0, 255).astype(np.uint8),
    'compression': lambda frames: np.stack([cv2.imdecode(cv2.imencode('.jpg', f, [cv2.IMWRITE_JPEG_QUALITY, 8])[1], 1) for f in frames]),
    'upscaling': lambda frames: np.stack([cv2.resize(half(frame), frame.shape[1::-1], interpolation=cv2.INTER_LINEAR) for frame in frames]),
}


NAMES = ('intel_asl_book.mkv', 'finetrainers_GENERATED_hiker.mp4', 'sam2_bedroom.mp4', 'mdn_flower.mp4', 'fastvideo_crush_030.mp4',
         'mdn_friday.mp4')


@pytest.fixture(scope='module')
def real(real_clips):
    return [read_clip(real_clips / name, rate=3, seconds=2, short_side=360) for name in NAMES]


@pytest.mark.parametrize('variant', VARIANTS)
def test_a_real_clip_looks_better_than_its_worse_copies(real, variant):
    for name, clip in zip(NAMES, real, strict=True):
        frames = clip.frames
        assert visual(frames)['visual'] > visual(VARIANTS[variant](frames))['visual'], name


def test_a_smaller_copy_looks_the_same(real):
    scores = np.array([[visual(f)['visual'] for f in (c.frames, np.stack([half(x) for x in c.frames]))] for c in real])
    assert np.median(np.abs(scores[:, 0] - scores[:, 1])) < 0.05  # a tenth of the spread of real clips
