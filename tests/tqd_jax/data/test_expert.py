"""What an expert of a part of t is trained on: clips and t together, against the joint law of a model of all t in closed form."""
import dataclasses
import itertools

import numpy as np
import pytest
import scipy.stats as st

from tqd_jax.data.expert import LEAST_MASS, for_expert
from tqd_jax.data.library import Library
from tqd_jax.data.loader import make_batches
from tqd_jax.timesteps.density import masses
from tqd_jax.timesteps.quality import LawConfig
from tqd_jax.timesteps.tqd import tqd_parameters
from transfer_jax.runtime.errors import UserError

N, DRAWS, SHIFTS, RATES = 40, 8_000, np.array([1.0, 3.0]), np.array([1.0, 2.0])
LAW = LawConfig(kind='beta', kappa_max=4.0)
RNG = np.random.default_rng(0)
MQ, VQ, BUCKET, SOURCE = *RNG.random((2, N)), np.arange(N) // 3 % 2, np.arange(N) % 2


def library(**changes):
    each = dict.fromkeys(('paths', 'tokens', 'weight', 'duration', 'captions', 'width', 'height', 'group'), np.zeros(N))
    one = Library(**each, ids=np.arange(N, dtype=np.uint64) * np.uint64(7919), source=SOURCE, source_names=('web', 'studio'), rates=RATES,
                  bucket=BUCKET, buckets=(None, None), acceptance=np.maximum(MQ, VQ), law=LAW, mq=MQ, vq=VQ, shifts=tuple(SHIFTS))
    return dataclasses.replace(one, **changes)


def mass(lo, hi):
    """P(lo <= t <= hi) of every clip's law, by scipy: a Beta law, then the flow shift of the clip's bucket."""
    a, b = tqd_parameters(MQ, VQ, LAW.kappa_base, LAW.kappa_max, LAW.min_parameter)
    shift = SHIFTS[BUCKET]
    above, below = (st.beta(a, b).cdf(t / (shift - (shift - 1) * t)) for t in (hi, lo))
    return above - below


def drawn(lib):
    """Clips of the first draws, without their pixels."""
    @dataclasses.dataclass(frozen=True)
    class Numbers:
        seed: int = 0
        batch: int = 8

        def __call__(self, number, clips):
            return clips

    data = make_batches(lib, Numbers(), np.arange(N))
    return np.concatenate([data[number] for number in range(DRAWS // 8)])


def whole_model():
    """How often a model of all t draws each clip: its source's rate, and within that by its acceptance."""
    worth = np.maximum(MQ, VQ)
    return RATES[SOURCE] / RATES.sum() * worth / np.bincount(SOURCE, worth)[SOURCE]


@pytest.fixture(scope='module', params=[(0.875, 1.0), (0.0, 0.875)])
def of_expert(request):
    """(range, the clips that its expert draws)."""
    return request.param, drawn(for_expert(library(), 'name', request.param))


def test_a_clip_is_drawn_in_proportion_to_the_mass_of_its_law_in_the_range(of_expert):
    bounds, clips = of_expert
    expected = whole_model() * mass(*bounds)
    expected /= expected.sum()
    found = np.bincount(clips, minlength=N) / DRAWS
    assert (np.abs(found - expected) < 4 * np.sqrt(expected / DRAWS)).all()
    assert np.abs(expected - whole_model()).max() > 5 * np.sqrt(expected.max() / DRAWS), 'the mass changes nothing here'


def test_how_often_times_the_density_of_t_is_the_joint_law_within_the_range(of_expert):
    (lo, hi), clips = of_expert
    often, whole, golden = np.bincount(clips, minlength=N) / DRAWS, masses(library().laws, np.arange(N), (lo, hi)), MQ > VQ
    for start, stop in itertools.pairwise(np.linspace(lo, hi, 5).tolist()):
        given_range = masses(library().laws, np.arange(N), (start, stop)) / whole
        joint = whole_model() * mass(start, stop) / (whole_model() @ mass(lo, hi))
        for group in golden, ~golden:
            assert often[group] @ given_range[group] == pytest.approx(joint[group].sum(), abs=4 * (joint[group].sum() / DRAWS)**0.5)


EXTREME = {'mq': np.where(SOURCE == 0, 1.0, 0.0), 'vq': np.where(SOURCE == 0, 0.0, 1.0), 'acceptance': np.ones(N), 'shifts': None}


def test_clips_without_mass_are_counted_and_never_drawn(capsys):
    """The t of a clip with motion alone follow Beta(200, 0.2): none is below 0.875, and a source of such clips alone is gone."""
    lib = library(**EXTREME, law=LawConfig(kind='beta', kappa_max=200.0))
    few = for_expert(lib, 'low', (0.0, 0.875))
    said = 'expert low: 20 of 40 clips are never drawn, each has less than 0.0001 of its law on the t of [0, 0.875]\n'
    assert capsys.readouterr().out == said
    np.testing.assert_array_equal(few.acceptance == 0, SOURCE == 0)
    assert few.rates[0] == 0 and (SOURCE[drawn(few)] == 1).all()
    with pytest.raises(UserError, match=r"config\.wan\.expert = 'low' can draw none of 40 clips.*set another config\.law"):
        for_expert(dataclasses.replace(lib, mq=np.ones(N), vq=np.zeros(N)), 'low', (0.0, 0.875))


def test_a_source_of_clips_with_hardly_any_mass_holds_nothing_up():
    """The t of half of the clips, a source of their own, follow Beta(30, 0.2)."""
    few = for_expert(library(**EXTREME, law=LawConfig(kind='beta', kappa_max=30.0)), 'low', (0.0, 0.875))
    small = st.beta(30, 0.2).cdf(0.875)
    assert LEAST_MASS < small < 3e-3
    np.testing.assert_allclose(few.acceptance, np.where(SOURCE == 0, small, 1), atol=1e-5)
    assert np.mean(SOURCE[drawn(few)] == 0) < 3e-3
