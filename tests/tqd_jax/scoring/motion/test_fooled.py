"""What looks like motion and is none, each rendered here: it lies near a still, and well below a thing that moves."""
import cv2
import numpy as np
import pytest
from scenes import RATE, texture, times

from tqd_jax.scoring.motion.bars import moving_bars
from tqd_jax.scoring.motion.motion import motion
from tqd_jax.scoring.motion.optical_flow import planes
from tqd_jax.scoring.motion.tickers import ticker_mask

HEIGHT, WIDTH, COUNT = 180, 320, 30
DIAGONAL = np.hypot(HEIGHT, WIDTH)
NEAR = 0.25  # of the score of a thing that moves at a quarter of a diagonal a second
WORDS = 'HEAVY RAIN IN THE NORTH trains are late and markets close higher for a third day, more of it at nine '


def picture():
    return cv2.cvtColor(texture(3, WIDTH)[:HEIGHT, :WIDTH, 0], cv2.COLOR_GRAY2RGB)


def held():
    return np.repeat(picture()[None], COUNT, 0)


def score(frames, name='motion'):
    return motion(frames, times(frames))[name]


def thing(frames):
    """The frames with a textured disc that goes a quarter of a diagonal a second."""
    frames, side = frames.copy(), 60
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside, skin = np.hypot(x, y) < side / 2, texture(5)[:side, :side] // 2 + 120
    for i, frame in enumerate(frames):
        left = round(10 + i * 0.25 * DIAGONAL / RATE) % (WIDTH - side)
        frame[60:60 + side, left:left + side][inside] = skin[inside]
    return frames


@pytest.fixture(scope='module')
def thing_score():
    return score(thing(held()))


def written(frame, text, place, size=0.7, colour=(255, 255, 255)):
    for tone, thick in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, tone, thick, cv2.LINE_AA)


def drawn(draw, frames=None):
    frames = held() if frames is None else frames.copy()
    for i, frame in enumerate(frames):
        draw(frame, i)
    return frames


def ticker(frames=None, speed=0.3, bottom=0.95, size=0.7, box=None):
    pixels, low, first = speed * DIAGONAL / RATE, round(bottom * HEIGHT), WIDTH / 2 if speed > 0 else -3 * WIDTH

    def draw(frame, i):
        if box:
            frame[low - round(30 * size):low + round(10 * size)] = box
        written(frame, 2 * WORDS, (round(first - pixels * i), low), size)
    return drawn(draw, frames)


def noise(sigma, blur=0.0, over=128, seed=0):
    """Noise that differs from picture to picture, alike over `blur` pixels within each, over a still."""
    rng, frames = np.random.default_rng(seed), []
    for _ in range(COUNT):
        grain = rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), blur) if blur else grain
        frames.append(np.clip(over + (sigma / grain.std() * grain)[..., None] * np.ones(3), 0, 255))
    return np.stack(frames).round().astype(np.uint8)


def shaken(path):
    """The still as a camera sees it whose place is `path` [F, 2] in pixels."""
    large = texture(3, 2 * WIDTH)
    shifts = [np.array([[1, 0, dx + WIDTH / 2], [0, 1, dy + HEIGHT / 2]]) for dx, dy in path]
    return np.stack([cv2.warpAffine(large, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP) for shift in shifts])


def zoomed(rate):
    """A zoom into the still, the picture larger by the factor `rate` from frame to frame."""
    large = texture(3, 2 * WIDTH)
    zooms = [np.array([[z, 0, WIDTH - z * WIDTH / 2], [0, z, WIDTH - z * HEIGHT / 2]]) for z in rate ** -np.arange(COUNT)]
    return np.stack([cv2.warpAffine(large, zoom, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP) for zoom in zooms])


def jitter(pixels, seed=0):
    return pixels * np.random.default_rng(seed).uniform(-1, 1, (COUNT, 2))


def swaying(pixels, hertz):
    return pixels * np.stack([np.sin(2 * np.pi * hertz * np.arange(COUNT) / RATE), np.cos(5 * hertz * np.arange(COUNT) / RATE)], 1)


def subtitled(frame, i):
    if i // 8 % 2:
        written(frame, ('I never said that', 'and you waited?')[i // 16 % 2], (40, 165))


def clock(frame, i):
    written(frame, f'12:07:{i // 12:02d}.{i % 12 * 8:02d}', (10, 30))


def spinner(frame, i):
    cv2.ellipse(frame, (WIDTH // 2, HEIGHT // 2), (14, 14), 30 * i, 0, 270, (255, 255, 255), 4, cv2.LINE_AA)


def progress(frame, i):
    cv2.rectangle(frame, (20, 170), (20 + 9 * i, 174), (255, 40, 40), -1)


def blinking(frame, i):
    if i // 4 % 2:
        cv2.circle(frame, (40, 40), 20, (255, 60, 60), -1, cv2.LINE_AA)


def letterboxed(frame, i):
    bar = round(30 * abs(1 - i / 15))
    frame[:bar] = frame[HEIGHT - bar:] = 0


def gained(gains):
    return np.clip(held() * np.asarray(gains)[:, None, None, None], 0, 255).astype(np.uint8)


def dissolving():
    share = np.clip(np.linspace(-0.5, 1.5, COUNT), 0, 1)[:, None, None, None]
    return (held() * (1 - share) + held()[:, ::-1, ::-1] * share).astype(np.uint8)


STILL = {
    'a ticker': lambda: ticker(), 'a ticker in a box': lambda: ticker(box=(20, 20, 120)), 'a slow ticker': lambda: ticker(speed=0.12),
    'a fast ticker to the right': lambda: ticker(speed=-0.5),
    'a large ticker above': lambda: ticker(bottom=0.15, size=1.0),
    'a ticker under grain': lambda: ticker(noise(6, over=picture())), 'a clock': lambda: drawn(clock),
    'subtitles': lambda: drawn(subtitled),
    'a spinner': lambda: drawn(spinner), 'a progress bar': lambda: drawn(progress), 'a logo that blinks': lambda: drawn(blinking),
    'bars that open and close': lambda: drawn(letterboxed), 'flicker': lambda: gained(np.random.default_rng(1).uniform(0.8, 1.1, COUNT)),
    'exposure that pumps': lambda: gained(1 + 0.25 * np.sin(np.arange(COUNT) / 3)), 'a fade': lambda: gained(np.linspace(0, 1, COUNT)),
    'a dissolve': dissolving, 'grain': lambda: noise(8, over=picture()), 'coarse grain': lambda: noise(15, 2.5, picture()),
    'white noise': lambda: noise(60), 'faint noise': lambda: noise(4), 'snow': lambda: noise(30, 2.5), 'coarse snow': lambda: noise(20, 8),
    'a camera that jitters': lambda: shaken(jitter(3)), 'a camera that is jerked': lambda: shaken(jitter(8)),
    'a camera that trembles': lambda: shaken(swaying(4, 3.0)),
}


@pytest.mark.parametrize('name', STILL)
def test_it_lies_near_the_still(name, thing_score):
    assert score(held()) == 0 and score(STILL[name]()) < NEAR * thing_score


@pytest.mark.parametrize('name', ['white noise', 'faint noise', 'snow', 'coarse snow', 'a ticker', 'subtitles'])
def test_what_does_not_move_at_all_is_hardly_above_zero(name):
    frames = STILL[name]()
    assert score(frames) < 0.01 and score(frames, 'motion_camera') < 0.01


def test_a_thing_moves_as_fast_under_a_ticker_a_shaken_camera_and_grain(thing_score):
    for frames in (ticker(thing(held())), thing(shaken(jitter(2))), thing(noise(6, over=picture()))):
        assert score(frames) == pytest.approx(thing_score, rel=0.25)


def test_a_zoom_and_a_pan_are_the_cameras():
    pan = shaken(np.arange(COUNT)[:, None] * np.array([1.5, 0]))
    assert score(pan, 'motion_camera') == pytest.approx(1.5 * RATE / DIAGONAL, rel=0.1)
    for frames in (pan, zoomed(1.01)):
        row = motion(frames, times(frames))
        assert row['motion'] > row['motion_camera'] > 0.03 and row['motion_object'] < 0.3 * row['motion_camera']


def test_only_lines_that_run_are_tickers():
    assert ticker_mask(planes(ticker()), 2.0)[-24:].mean() > 0.5 and not ticker_mask(planes(ticker()), 2.0)[:60].any()
    for frames in (thing(held()), shaken(np.arange(COUNT)[:, None] * np.array([3, 0])), noise(20), drawn(subtitled), held()):
        assert not ticker_mask(planes(frames), 2.0).any()


def test_only_pairs_of_black_bars_that_grow_or_shrink_are_masked():
    assert moving_bars(planes(drawn(letterboxed))).mean() == pytest.approx(2 * 30 / HEIGHT, abs=0.15)
    still = held()
    still[:, :30] = still[:, -30:] = 0
    for frames in (held(), still, thing(held()), gained(np.linspace(0, 1, COUNT))):
        assert not moving_bars(planes(frames)).any()
