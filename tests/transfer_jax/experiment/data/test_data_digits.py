"""The embedded digits: scikit-learn's own, and printed ones that a classifier can read, one source of help and one of harm."""
import numpy as np
import pytest
from sections import load
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from transfer_jax.experiment.data.digits import digit_domains, draw, glyph
from transfer_jax.experiment.data.splits import k_shot
from transfer_jax.runtime.errors import UserError

NAMES = ('scan', 'print', 'noisy', 'inverted', 'rotated', 'swapped')


@pytest.fixture(scope='module')
def digits():
    return digit_domains()


def flat(images):
    return images.reshape(len(images), -1) / 255


def reader(images, labels, weights=None):
    return RidgeClassifier(alpha=3).fit(flat(images), labels, sample_weight=weights)


def test_the_domains_and_their_classes(digits):
    assert digits.names == NAMES and digits.classes == tuple('0123456789')
    assert [len(domain) for domain in digits.domains] == [1797, *[800] * 5]
    for domain in digits.domains:
        assert domain.inputs.shape[1:] == (16, 16, 1) and domain.inputs.dtype == np.uint8 and domain.labels.dtype == np.int32
        assert np.bincount(domain.labels).min() >= 80


def test_scans_are_those_of_scikit_learn(digits):
    theirs = load_digits()
    assert np.array_equal(digits['scan'].labels, theirs.target)
    small = digits['scan'].inputs.reshape(-1, 8, 2, 8, 2).mean((2, 4)) * 16 / 255
    assert min(np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(small, theirs.images, strict=True)) > 0.9


def test_a_seed_gives_one_set_and_another_seed_another(digits):
    again, other = digit_domains(), digit_domains(seed=1, examples=100)
    for name in NAMES:
        assert np.array_equal(again[name].inputs, digits[name].inputs) and np.array_equal(again[name].labels, digits[name].labels)
        assert name == 'scan' or not np.array_equal(other[name].inputs[:100], digits[name].inputs[:100])


@pytest.mark.parametrize(('name', 'undo', 'rate'), [
    ('noisy', lambda x, y: (x, y), 0.8), ('inverted', lambda x, y: (255 - x, y), 0.95), ('swapped', lambda x, y: (x, (y - 1) % 10), 0.95)])
def test_a_model_of_print_reads_its_variants(digits, name, undo, rate):
    images, labels = undo(digits[name].inputs, digits[name].labels)
    assert reader(digits['print'].inputs, digits['print'].labels).score(flat(images), labels) > rate


def test_turned_digits_are_turned(digits):
    """The spectrum of a picture turns with it, and does not mind where in the picture the digit is."""
    spectrum = lambda image: np.abs(np.fft.fft2(image.astype(float)))
    for digit in range(10):
        upright, rotation = (draw(np.random.default_rng(digit), digit, angle) for angle in (0, np.pi / 2))
        assert np.corrcoef(spectrum(np.rot90(upright)).ravel(), spectrum(rotation).ravel())[0, 1] > 0.95
    print_reader = reader(digits['print'].inputs, digits['print'].labels)
    assert 0.2 < print_reader.score(flat(digits['rotated'].inputs), digits['rotated'].labels) < 0.7


def test_outlines_have_the_holes_of_their_digits():
    assert [len(glyph('DejaVuSans', digit)) for digit in range(10)] == [2, 1, 1, 1, 2, 1, 2, 1, 3, 2]


def test_print_helps_five_shots_of_scan_and_swapped_harms_them(digits):
    scan, score = digits['scan'], {name: [] for name in (None, 'print', 'swapped')}
    for seed in range(4):
        split = k_shot(scan.labels, shots=5, validation=0, test=None, seed=seed, classes=digits.classes)
        for name, scores in score.items():
            more = ([], []) if name is None else (digits[name].inputs, digits[name].labels)
            images = np.concatenate([scan.inputs[split.train], np.reshape(more[0], (-1, 16, 16, 1))])
            weights = np.repeat([1.0, 0.05], [50, len(more[1])])
            model = reader(images, np.concatenate([scan.labels[split.train], more[1]]), weights)
            scores.append(model.score(flat(scan.inputs[split.test]), scan.labels[split.test]))
    alone, good, bad = (np.mean(scores) for scores in score.values())
    assert good > alone + 0.01 and bad < alone - 0.05


def test_a_config_without_a_path_gets_the_digits(digits):
    few = load(None, max_per_domain=200, image_size=8, channels=3)
    assert few.names == NAMES and few.classes == digits.classes and all(d.inputs.shape == (200, 8, 8, 3) for d in few.domains)
    whole = load(None)
    assert all(np.array_equal(a.inputs, b.inputs) and np.array_equal(a.labels, b.labels)
               for a, b in zip(whole.domains, digits.domains, strict=True))
    with pytest.raises(UserError, match='the embedded digits have classes'):
        load(None, task='regression')
