"""The committed pages of results are what the code makes of the committed JSON files, to the last character."""
import pathlib
import shutil

import pytest

from benchmarks.studies.pages import __main__ as pages

RESULTS = pathlib.Path(__file__).parents[3] / 'docs' / 'results'
PAGES = ('tqd.md', 'alignment.md', 'learned_law.md', 'theory.md')
STUDIES = ('tqd_', 'alignment_', 'learned_', 'theory')


@pytest.fixture(scope='module')
def rewritten(tmp_path_factory):
    """The folder of pages written again from copies of the JSON files."""
    folder = tmp_path_factory.mktemp('docs')
    results, images = folder / 'results', folder / 'images'
    results.mkdir(), images.mkdir()
    for path in RESULTS.glob('*.json'):
        if path.name.startswith(STUDIES):
            shutil.copy(path, results)
    pages.main([f'--results={results}', f'--images={images}'])
    return results


@pytest.mark.parametrize('name', PAGES)
def test_a_page_is_made_of_the_numbers_beside_it(rewritten, name):
    assert (rewritten / name).read_text() == (RESULTS / name).read_text(), 'write it again: python -m benchmarks.studies.pages'


@pytest.mark.parametrize('name', PAGES)
def test_every_picture_of_a_page_lies_there(rewritten, name):
    links = [line.split('](')[1].rstrip(')') for line in (RESULTS / name).read_text().splitlines() if line.startswith('![')]
    assert links and all((RESULTS / link).exists() for link in links)
    assert all((rewritten / link).exists() for link in links if not link.endswith('_samples.png'))
