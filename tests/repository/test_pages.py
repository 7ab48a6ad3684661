"""What the pages refer to is there: links, files and functions, modules; the list of files is current; the site builds."""
import os
import re
import subprocess
import sys

import pytest
from pages import PAGES, ROOT, TASKS
from snippets import anchors, links

BY_HAND = ('README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', *(f'docs/{name}.md' for name in TASKS))
REFERENCE = re.compile(r'`((?:\w+/)+\w+\.py)(?:: ([\w, ]+))?')  # `folder/file.py`, with `: function, function` or without
RENAMED = re.compile(r'^\| `[\w.{}, ]+` \| `((?:tqd_jax|transfer_jax|benchmarks)\.[\w.*]+)` \|$', re.MULTILINE)


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    for link in links(PAGES[page]):
        path, _, anchor = link.partition('#')
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f'{page}: there is no {link}'
        assert not anchor or anchor in anchors(target.read_text()), f'{page}: there is no {link}'


@pytest.mark.parametrize('page', BY_HAND)
def test_files_and_functions_are_where_a_page_says(page):
    for path, names in REFERENCE.findall((ROOT / page).read_text()):
        files = [file for file in (ROOT / path, ROOT / 'tqd_jax' / path, ROOT / 'transfer_jax' / path) if file.exists()]
        assert files or 'NAME' in path, f'{page}: there is no {path}'
        text = '\n'.join(file.read_text() for file in files)
        for name in filter(None, names.split(', ')):
            assert re.search(rf'^(def|class) {name}\b|^{name} =', text, re.MULTILINE), f'{page}: {path} has no {name}'


def test_the_new_names_of_modules_exist():
    names = RENAMED.findall((ROOT / 'CHANGELOG.md').read_text())
    paths = {name: ROOT.joinpath(*name.removesuffix('.*').split('.')) for name in names}
    assert names and [name for name, path in paths.items() if not (path.is_dir() or path.with_suffix('.py').exists())] == []


def test_readme_is_short():
    assert len(PAGES['README.md'].splitlines()) <= 130


def test_the_list_of_files_is_current(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'docs')
    import file_list
    assert (ROOT / file_list.PAGE).read_text() == file_list.page(), 'make files writes it'


def test_the_site_builds_without_a_broken_link_and_fetches_nothing(tmp_path):
    pytest.importorskip('material', reason='the extra [docs] is not installed')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', f'--site-dir={tmp_path}']
    environment = {**os.environ, 'NO_MKDOCS_2_WARNING': '1'}
    done = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {page.name: page.read_text() for page in tmp_path.rglob('*.html')}
    assert 'index.html' in pages
    assert [name for name, text in pages.items() if re.search(r'src="https?:|<link[^>]* href="https?:[^>]*stylesheet', text)] == []
