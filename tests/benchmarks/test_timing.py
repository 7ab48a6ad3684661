"""The pages of benchmarks name the command that wrote them, and rounds are interleaved."""
import sys
from types import SimpleNamespace

import pytest

from benchmarks import timing


@pytest.mark.parametrize(('module', 'name'), [('benchmarks.law_cost', 'benchmarks.law_cost'),
                                              ('benchmarks.solver.__main__', 'benchmarks.solver')])
def test_a_page_names_its_command(module, name, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, '__main__', SimpleNamespace(__spec__=SimpleNamespace(name=module)))
    monkeypatch.setattr(sys, 'argv', ['program', '--rounds', '5'])
    timing.write_page('page', 'Title', ['a line'], tmp_path / 'new')
    lines = (tmp_path / 'new' / 'page.md').read_text().splitlines()
    assert lines[0] == '# Title' and lines[2] == f'`python -m {name} --rounds 5`' and lines[-1] == 'a line'
    assert capsys.readouterr().out.startswith('# Title')


def test_rounds_are_interleaved_and_each_function_runs_once_before_its_turn():
    calls = []
    seconds = timing.interleaved({name: lambda name=name: calls.append(name) for name in 'ab'}, 3)
    assert ''.join(calls) == 'bbaa' + 'aabb' + 'bbaa' and {name: len(own) for name, own in seconds.items()} == {'a': 3, 'b': 3}


def test_the_ratio_is_that_of_the_medians():
    seconds = {'one': [2.0, 4.0, 9.0], 'other': [1.0, 2.0, 3.0]}
    assert timing.ratio_of_medians(seconds, 'one', 'other') == (2.0, 2.0, 3.0)
