"""The cases of the theory study against its predictions, and a study that was stopped."""
import functools
import json
import re
import signal

import jax
import numpy as np
import pytest

from benchmarks.studies.config import TheoryConfig
from benchmarks.studies.theory import study
from benchmarks.studies.theory.cases import WAYS, growth, predicted_orders, threshold
from benchmarks.studies.theory.debiased import debiasing
from configs.studies import theory as study_theory
from transfer_jax.runtime.config import instance, override
from transfer_jax.runtime.errors import UserError


@pytest.fixture(autouse=True)
def doubles():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize('model', ['mean', 'logistic'])
def test_realised_kl_is_the_prediction_at_the_optimum_and_least_there(model):
    record = growth(1, model, 10, 2, 160, 200)
    for way in WAYS:
        (kl, error), predicted = record['ways'][way]['kl'], record['ways'][way]['predicted']
        assert abs(kl / predicted - 1) < 0.05 + 3 * error / predicted, way
    for way in ('none', 'half', 'double'):
        cost, error = record['ways'][way]['above UOWQ']
        assert cost > 2 * error, way


def test_one_source_is_used_up_to_the_threshold_and_the_closed_form_beyond():
    below, beyond = (threshold(0, 'mean', distance, 20, 4000) for distance in (0.4, 1.0))
    assert below['closed'] == 20 and abs(beyond['closed'] - 1) < 1e-9
    for record in (below, beyond):
        np.testing.assert_allclose(record['closed'], record['solved'], rtol=1e-6)
        assert min(mean + 3 * error for mean, error in record['above']) >= 0


def test_the_order_of_methods_holds_in_every_prediction():
    assert predicted_orders(0, 3, 200)['broken'] == {'UOWQ - OTQMS': 0, 'OTQMS - min(none, all)': 0}


def test_debiasing_beats_the_raw_gram_where_sources_are_identical():
    over = debiasing(0, 'mean', 100, 'identical', 60)['over none']
    assert over['UOWQ debiased'][0] < 0.06 < 0.2 < over['UOWQ raw'][0]
    assert abs(over['UOWQ oracle'][0] - 1 / 51) < 0.01


def small_config(folder):
    """The config of a few cases of the Gaussian mean."""
    cases = {'models': ('mean',), 'dimensions': (20,), 'sources': (3,), 'ratios': (10, 40), 'runs': 20, 'instances': 1}
    changes = {f'theory.{key}': value for key, value in cases.items()}
    changes |= {name: str(folder / name) for name in ('results', 'images')}
    return override(instance(TheoryConfig, study_theory.get_config()), changes)


@pytest.mark.long
def test_a_stopped_study_goes_on_and_writes_all_cases(tmp_path, monkeypatch):
    config = small_config(tmp_path)
    monkeypatch.setattr(study, 'PREDICTED', 20)
    all_jobs = study.jobs
    left_out = re.compile('debiasing/.*/(100|1000)/|threshold/mean/(0.25|0.4|0.55|0.6|0.75|2.0|4.0)/')
    few = lambda config: {name: job for name, job in all_jobs(config).items() if not left_out.search(name)}
    names = []

    def record_and_run(name, job):
        names.append(name)
        if len(names) == 3:
            signal.raise_signal(signal.SIGTERM)
        return job()

    monkeypatch.setattr(study, 'jobs', lambda config: {
        name: functools.partial(record_and_run, name, job) for name, job in few(config).items()})
    study.main(config, tmp_path / 'work')
    assert len(names) == 3 and not (tmp_path / 'results').exists()
    study.main(config, tmp_path / 'work', flags={'theory.ratios': '(10, 40)'})
    assert len(names) == len(set(names)) == len(few(config))
    cases = json.loads((tmp_path / 'results/theory.json').read_text())['cases']
    assert [*cases] == [*few(config)]
    page = (tmp_path / 'results/theory.md').read_text()
    assert all((tmp_path / 'images' / f'theory_{name}.png').exists() for name in ('growth', 'threshold', 'orders'))
    assert 'off by more than 3 standard errors' in page and '--config.seed=0 "--config.theory.ratios=(10, 40)"`' in page
    with pytest.raises(UserError, match='other settings'):
        study.main(override(config, {'seed': 1}), tmp_path / 'work')
