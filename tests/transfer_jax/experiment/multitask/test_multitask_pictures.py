"""The picture of the weights between tasks: what one huge weight and zeros leave to see."""
import numpy as np
import pytest

from transfer_jax.experiment.multitask.pictures import weights_picture


def cells(weights):
    """(colours [T, T, 4] of the cells, the texts in them [T, T]) of a picture."""
    axes = weights_picture(weights, [f'task {number}' for number in range(len(weights))]).axes[0]
    image = axes.images[0]
    return image.to_rgba(image.get_array()), np.reshape([text.get_text() for text in axes.texts], weights.shape)


def test_one_huge_weight_leaves_the_others_apart_and_zeros_without_colour():
    weights = np.array([[1.0, 0.01, 0.1], [1000.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    colours, texts = cells(weights)
    assert texts.tolist() == [['1', '0.01', '0.1'], ['1e+03', '1', '0'], ['0', '1', '1']]
    brightness = [colours[place][:3].sum() for place in ((0, 1), (0, 2), (2, 1), (1, 0))]
    assert np.all(np.diff(brightness) < -0.2)  # of .01, .1, 1 and 1000: each darker than the one before
    assert [colours[place][3] for place in ((1, 2), (2, 0), (0, 0))] == [0, 0, 0] and colours[0, 1, 3] == 1


@pytest.mark.parametrize('weight', [1e-12, 0.3, 1e9])
def test_a_single_weight_has_a_colour(weight):
    colours, _ = cells(np.array([[1.0, weight], [0.0, 1.0]]))
    assert np.isfinite(colours).all() and colours[0, 1, 3] == 1 and colours[1, 0, 3] == 0


def test_weights_that_are_all_zero_have_no_picture():
    assert weights_picture(np.eye(3), ['a', 'b', 'c']) is None


def test_many_tasks_have_neither_names_nor_numbers():
    axes = weights_picture(np.full((50, 50), 0.5), [f'{number}' for number in range(50)]).axes[0]
    assert not axes.texts and 'task' not in [label.get_text() for label in axes.get_xticklabels()]
