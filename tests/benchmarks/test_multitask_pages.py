"""The pages of the multi-task benchmarks: parts of one page by two programs, methods that are kept, and the data with a rare class."""
import pathlib

import pytest

from benchmarks import multitask
from benchmarks.rare import ROWS, rare_digits
from transfer_jax.experiment.multitask.config import Multitask

DIGITS = pathlib.Path(__file__).parents[2] / '../shared/data/digits4/digits4_16x16.npz'


def test_a_part_of_a_page_is_replaced_and_the_others_stay():
    page = '# Title\n\ntext\n'
    once = multitask.replace_part(page, '## Rare', ['old'])
    assert once == '# Title\n\ntext\n\n## Rare\n\nold\n'
    twice = multitask.replace_part(once + '\n## More\n\nend\n', '## Rare', ['new'])
    assert twice == '# Title\n\ntext\n\n## Rare\n\nnew\n\n## More\n\nend\n'


def test_a_method_that_is_kept_is_trained_again_only_under_another_section(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(multitask, 'multitask', lambda section, data: trained.append(section) or {'methods': {'single': {'test': [0.5]}}})
    of = lambda folder, steps: multitask.kept(folder, 'trunk single', Multitask(methods=('single',), steps=steps), None)
    assert of(tmp_path / 'kept', 10) == of(tmp_path / 'kept', 10) == {'test': [0.5]} and len(trained) == 1
    assert of(tmp_path / 'kept', 20) == of(None, 20) == {'test': [0.5]} and len(trained) == 3


@pytest.mark.skipif(not DIGITS.is_file(), reason='no digits at ../shared/data/digits4')
def test_six_of_a_hundred_digits_are_eights():
    data = rare_digits(DIGITS)
    assert data.classes == ('rest', 'eight') and len(data.domains) == 4
    assert all(len(domain) == ROWS and domain.labels.mean() == 0.06 and domain.inputs.shape == (ROWS, 256) for domain in data.domains)
