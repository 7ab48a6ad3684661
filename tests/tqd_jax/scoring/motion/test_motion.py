"""Motion against known truth: shifts, cameras and objects in closed form, what is no motion, time, and changed copies of real clips."""
import numpy as np
import pytest
from scenes import RATE, SIZE, camera_speed, filmed, half, moving, times, views, with_object

from tqd_jax.clips.read import read_clip
from tqd_jax.clips.render import degrade
from tqd_jax.clips.write import write_clip
from tqd_jax.scoring.measures import MEASURES
from tqd_jax.scoring.motion.motion import motion, sampling_rate
from tqd_jax.scoring.motion.optical_flow import FLOWS
from tqd_jax.scoring.row import score_clip

NOISY = 0.2  # 'motion', the mean of the 5 % of vectors that are longest, is above the truth by as much as the field is noisy
SPEED = RATE / (SIZE * np.sqrt(2))  # of a pixel a frame
CAMERAS = {'pan': dict(pan=(-4.0, 3.0)), 'zoom in': dict(zoom=1.02), 'zoom out': dict(zoom=0.97), 'roll': dict(roll=0.02),
           'all': dict(pan=(1.0, 0.0), zoom=1.015, roll=-0.03)}
NAMES = ('intel_asl_book.mkv', 'finetrainers_GENERATED_hiker.mp4', 'sam2_bedroom.mp4', 'mdn_flower.mp4', 'fastvideo_crush_030.mp4',
         'mdn_friday.mp4')
both_flows = pytest.mark.parametrize('flow', FLOWS)


def measured(frames, flow='dis', rate=RATE):
    return motion(frames, times(frames, rate), flow)


@both_flows
@pytest.mark.parametrize('pixels', [1, 2, 3, 4, 6])
def test_a_shift_is_its_speed_in_diagonals_a_second(pixels, flow):
    raw = measured(moving(pixels), flow)
    assert raw['motion'] == raw['motion_top'] == pytest.approx(pixels * SPEED, rel=NOISY)
    assert raw['motion_mean'] == pytest.approx(pixels * SPEED, rel=0.03)
    assert raw['motion_camera'] == pytest.approx(pixels * SPEED, rel=0.03)


@both_flows
@pytest.mark.parametrize('name', CAMERAS)
def test_pan_zoom_and_roll_are_the_cameras(name, flow):
    looks = views(**CAMERAS[name])
    raw = measured(filmed(looks), flow)
    assert raw['motion_camera'] == pytest.approx(camera_speed(looks), rel=0.07)
    assert raw['motion_object'] < (0.2 if name == 'pan' else 0.4) * raw['motion_camera']  # what enters at a border has no match


@both_flows
@pytest.mark.parametrize('pixels', [2, 4, 6])
def test_an_object_before_a_still_background_is_no_camera(pixels, flow):
    raw = measured(with_object(np.repeat(moving(0, 1), 9, axis=0), pixels), flow)
    assert raw['motion_camera'] < 0.1 * pixels * SPEED
    assert raw['motion_object'] == pytest.approx(pixels * SPEED, rel=0.1) and raw['motion'] == pytest.approx(pixels * SPEED, rel=0.05)


@both_flows
@pytest.mark.parametrize(('pan', 'pixels'), [(2, 0), (3, 4), (-3, 1)])
def test_an_object_moves_against_a_camera_that_pans(pan, pixels, flow):
    """The background goes the other way than the camera, so that an object at rest on the picture moves against it."""
    raw = measured(with_object(filmed(views(pan=(pan, 0))), pixels), flow)
    assert raw['motion_camera'] == pytest.approx(abs(pan) * SPEED, rel=0.15)
    assert raw['motion_object'] == pytest.approx(abs(pixels + pan) * SPEED, rel=0.2)


@both_flows
def test_an_object_at_rest_in_the_scene_is_the_scene(flow):
    raw = measured(with_object(filmed(views(pan=(-2, 0))), 2), flow)
    assert raw['motion_object'] < 0.2 * raw['motion_camera']


def test_a_mirrored_turned_or_reversed_clip_moves_as_much():
    frames = with_object(filmed(views(pan=(2, 1))), 4)
    for other in (frames[:, :, ::-1], frames.swapaxes(1, 2), frames[::-1]):
        for name in ('motion', 'motion_mean', 'motion_camera', 'motion_object'):
            assert measured(other)[name] == pytest.approx(measured(frames)[name], rel=0.1), name


def test_colours_of_the_same_luma_are_told_apart():
    luma = np.array([0.299, 0.587, 0.114])
    red, green = np.array([200.0, 0, 60]), np.array([0, 0, 60.0])
    green[1] = (luma @ red - luma @ green) / luma[1]
    share = moving(3)[..., :1] / 255.0
    frames = (share * red + (1 - share) * green).round().astype(np.uint8)
    assert measured(frames)['motion'] == pytest.approx(3 * SPEED, rel=NOISY)


@both_flows
@pytest.mark.parametrize('end', [0, 100, 255])
def test_a_fade_is_no_motion(end, flow):
    still, share = moving(0, 9), np.linspace(1, 0.3, 9)[:, None, None, None]
    raw = measured((still * share + end * (1 - share)).round().astype(np.uint8), flow)
    assert raw['motion'] < 1e-3 and raw['motion_camera'] < 1e-3 and raw['frozen'] == 0 and raw['motion_change'] > 4


@both_flows
def test_what_stands_still_does_not_move_even_under_noise(flow):
    still = moving(0, 9)
    raw = measured(still, flow)
    assert raw.pop('frozen') == 1 and raw['motion'] == 0 and max(raw.values()) < 0.01 * SPEED
    noisy = measured(degrade(still, 'noise', 0.5, np.random.default_rng(0))[0], flow)
    assert max(noisy['motion'], noisy['motion_camera'], noisy['motion_object']) < 0.2 * SPEED and noisy['frozen'] == 0


@both_flows
@pytest.mark.parametrize('sigma', [5, 15])
def test_noise_on_a_blank_wall_hardly_moves(sigma, flow):
    noise = np.random.default_rng(0).normal(128, sigma, (9, SIZE, SIZE, 3))
    raw = measured(noise.round().clip(0, 255).astype(np.uint8), flow)
    assert raw['motion'] < 0.3 * SPEED and raw['motion_camera'] < 0.2 * SPEED


def test_speed_is_per_second_and_not_per_frame():
    frames = moving(4)
    slow, fast = measured(frames, rate=4.0), measured(frames, rate=8.0)
    for name in ('motion', 'motion_mean', 'motion_camera', 'motion_object'):
        assert slow[name] == pytest.approx(fast[name] / 2), name
    assert slow['jerk'] == pytest.approx(fast['jerk'] / 8)
    assert motion(frames[::2], times(frames)[::2])['motion'] == pytest.approx(measured(frames)['motion'], rel=0.1)


def test_a_frame_that_stays_on_display_counts_once():
    frames = moving(4)
    assert motion(np.repeat(frames, 2, axis=0), np.repeat(times(frames), 2)) == measured(frames)


@pytest.mark.parametrize('stays', [(6, 1), (6, 5), (1, 5)])
def test_a_pause_counts_as_it_does_where_the_picture_is_repeated(stays):
    held = np.ones(9, int)
    held[[4, 8]] = stays  # frames that a file of variable frame rate leaves out
    frames, number = moving(3), np.repeat(np.arange(9), held)
    began = times(number)[np.searchsorted(number, number)]
    varying, constant = motion(frames[number], began), motion(frames[number], times(number))
    assert varying.keys() == constant.keys()
    for name, value in constant.items():
        assert varying[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_frozen_is_a_share_of_the_time():
    frames = np.concatenate([moving(3, 9), np.repeat(moving(3, 9)[-1:], 8, axis=0)])
    raw = measured(frames)
    assert raw['frozen'] == pytest.approx(0.5) and raw['motion_camera'] == pytest.approx(1.5 * SPEED, rel=0.05)
    late = times(frames) + np.where(np.arange(17) == 16, 8 / RATE, 0)  # the last of them is on display for half of the time
    assert motion(frames, late)['frozen'] == pytest.approx(16 / 24)


@both_flows
def test_shaking_jerks_and_a_steady_pan_does_not(flow):
    """A camera that goes to and fro by v a frame changes its velocity by 2 v, and its acceleration by 4 v, every frame."""
    shaken = views()
    shaken[:, 0, 2] += 3 * (-1) ** np.arange(9)
    jerk = 4 * 6 * SPEED * RATE**2
    assert measured(filmed(shaken), flow)['jerk'] == pytest.approx(jerk, rel=0.05)
    assert measured(filmed(views(pan=(6, 0))), flow)['jerk'] < 0.02 * jerk


@pytest.mark.parametrize('lengths', [(9, 9), (9, 6, 9)])
def test_a_cut_is_no_motion(lengths):
    shots = [np.rot90(moving(1, count), turn, axes=(1, 2)) for turn, count in enumerate(lengths)]
    raw = measured(np.concatenate(shots))
    assert raw['cuts'] == pytest.approx((len(lengths) - 1) * RATE / (sum(lengths) - 1))
    assert raw['motion'] == pytest.approx(measured(moving(1))['motion'], rel=0.15) and raw['jerk'] < 1


@pytest.mark.parametrize('size', [(16, 16), (16, 40), (300, 17)])
@pytest.mark.parametrize('level', [0, 128, 255])
def test_flat_and_tiny_frames_do_not_move(size, level):
    frames = np.full((3, *size, 3), level, np.uint8)
    for clip in (frames, frames[:2], frames[:1]):
        raw = measured(clip)
        assert raw.pop('frozen') == 1 and set(raw.values()) == {0.0}
        assert raw.keys() | {'frozen', 'repeated', 'motion_codec'} == {'motion'} | {m.name for m in MEASURES if m.axis == 'motion'}


@pytest.mark.parametrize('fps', [24, 25, 30000 / 1001, 30, 48, 50, 60, 120, 240])
def test_half_of_a_files_frames_are_looked_at_as_often(fps):
    assert sampling_rate(fps) == sampling_rate(fps / 2) == fps / 2 ** round(np.log2(fps / sampling_rate(fps)))
    assert 10 <= sampling_rate(fps) < 20 and sampling_rate(7.0) == 7.0


@pytest.mark.parametrize('fps', [24, 25, 30, 60])
def test_a_file_without_every_second_frame_moves_as_it_did(tmp_path, fps):
    frames = with_object(filmed(views(pan=(1, 0), count=fps)), 2 if fps < 60 else 1)
    write_clip(tmp_path / 'whole.mp4', frames, fps)
    write_clip(tmp_path / 'half.mp4', frames[::2], fps / 2)
    whole, halved = (score_clip(tmp_path / f'{name}.mp4') for name in ('whole', 'half'))
    for name in ('motion', 'motion_mean', 'motion_camera', 'motion_object'):
        assert halved[name] == pytest.approx(whole[name], rel=0.05), name


def test_a_real_clip_moves_more_than_its_frozen_and_slowed_copies_and_as_much_as_its_small_one(real_clips):
    for name in NAMES:
        clip = read_clip(real_clips / name, rate=RATE, seconds=2, short_side=192)
        score = motion(clip.frames, clip.times)['motion']
        assert score > motion(np.repeat(clip.frames[:1], len(clip.frames), 0), clip.times)['motion'] == 0, name
        assert score / 2 == pytest.approx(motion(clip.frames, 2 * clip.times)['motion'], rel=0.01), name
        small = motion(np.stack([half(frame) for frame in clip.frames]), clip.times)['motion']
        assert small == pytest.approx(score, rel=0.1, abs=0.02), name
