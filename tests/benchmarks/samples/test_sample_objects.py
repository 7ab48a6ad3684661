"""What is lit in a frame, on pictures drawn here: one thing or two, of which colour, how large, and its outline."""
import numpy as np
import pytest

from benchmarks.samples.objects import find_objects, matte_of
from benchmarks.studies.measures.templates import COLOURS, LIT
from tqd_jax.clips import scenes

RED, GREEN, WHITE = 0, 1, 5
GROUND = np.array([60.0, 64, 70])


def picture(*things, size=64, bright=LIT):
    """uint8 [size, size, 3]: squares (colour, x, y, half side) in frame widths on an even ground."""
    frame = np.broadcast_to(GROUND, (size, size, 3)).copy()
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2)
    for colour, left, top, half in things:
        frame[np.maximum(abs(x - left), abs(y - top)) < half] = bright * COLOURS[colour]
    return frame.round().astype(np.uint8)


def found(frame, colour=RED, near=(0.5, 0.5)):
    return find_objects(frame[None, None], np.array([colour]), np.array([[near]]))


@pytest.mark.parametrize('size', [32, 64])
@pytest.mark.parametrize('colour', range(6))
def test_a_square_is_whole_and_of_its_colour(size, colour):
    frame = picture((colour, 0.375, 0.625, 0.125), size=size)
    matte, best = matte_of(frame)
    assert matte.sum() / size**2 == pytest.approx(0.25**2, abs=2e-3) and (best[matte > 0.5] == colour).all()
    one = found(frame, colour, (0.4, 0.6))
    assert one.whole.all()
    np.testing.assert_allclose(one.centres[0, 0], (0.375, 0.625), atol=1e-6)
    edge = slice(4, 12)  # half of a window of 16 pixels
    expected = np.zeros((16, 16))
    expected[edge, edge] = 1
    np.testing.assert_allclose(one.crops[0, 0], expected, atol=0.01 if size == 64 else 0.3)  # between pixels the matte is linear


@pytest.mark.parametrize(('things', 'why'), [
    ((), 'nothing is there'), (((GREEN, 0.5, 0.5, 0.15),), 'another colour'), (((RED, 0.5, 0.5, 0.04),), 'too small'),
    (((RED, 0.5, 0.5, 0.25),), 'too large'), (((RED, 0.3, 0.5, 0.13), (RED, 0.75, 0.5, 0.13)), 'two things'),
    (((RED, 0.3, 0.5, 0.13), (WHITE, 0.75, 0.5, 0.1)), 'another thing beside it'),
    (((RED, 0.4, 0.5, 0.13), (GREEN, 0.55, 0.5, 0.1)), 'two colours in one')])
def test_what_is_not_one_whole_thing(things, why):
    assert not found(picture(*things)).whole.any(), why


def test_a_faint_thing_is_not_lit():
    assert not found(picture((RED, 0.5, 0.5, 0.15), bright=0.4)).whole.any()


def test_nothing_lit_has_an_empty_outline():
    one = found(picture())
    assert not one.crops.any() and np.isnan(one.centres).all()


def test_the_thing_at_the_track_is_the_object():
    frame = picture((RED, 0.2, 0.5, 0.13), (GREEN, 0.75, 0.5, 0.14))
    np.testing.assert_allclose(found(frame, RED, (0.25, 0.5)).centres[0, 0], (0.2, 0.5), atol=0.02)
    np.testing.assert_allclose(found(frame, GREEN, (0.8, 0.5)).centres[0, 0], (0.75, 0.5), atol=0.02)


def test_an_outline_shows_nothing_of_what_lies_beside():
    alone = found(picture((RED, 0.4, 0.5, 0.12))).crops
    beside = found(picture((RED, 0.4, 0.5, 0.12), (RED, 0.63, 0.5, 0.05)), near=(0.4, 0.5)).crops
    np.testing.assert_allclose(beside[..., :12], alone[..., :12], atol=0.02)
    assert beside[..., 14:].max() < 0.3


@pytest.mark.parametrize('shape', scenes.SHAPES)
def test_every_rendered_shape_is_whole(shape):
    sprite = scenes.Sprite(shape=shape, colour='red', radius=0.17, start=(0.4, 0.5), velocity=(0.0, 0.0), angle=0.3)
    scene = scenes.Scene(kind='golden', sprites=(sprite,), colours=((45.0, 50, 90), (80.0, 70, 50)), angle=1.0, phase=(0.3, 2.0))
    assert found(scenes.render(scene, count=1)[0]).whole.all()
