"""Counts with their nouns; and that no text of the packages writes the plural of a word after a count that may be 1."""
import ast
import itertools
import pathlib
import re

import numpy as np
import pytest

import tqd_jax
import transfer_jax
from transfer_jax.runtime.counts import counted, plural


@pytest.mark.parametrize(('count', 'one', 'many', 'text'), [
    (1, 'seed', None, '1 seed'), (0, 'seed', None, '0 seeds'), (2, 'seed', None, '2 seeds'), (np.int64(1), 'class', 'classes', '1 class'),
    (3, 'class', 'classes', '3 classes'), (1, 'clip has', 'clips have', '1 clip has'), (2, 'clip has', 'clips have', '2 clips have')])
def test_a_count_has_the_word_for_it(count, one, many, text):
    assert counted(count, one, many) == text and plural(count, one, many) == text.partition(' ')[2]


def lengths_before_plurals(path):
    """The places of a file where a text has len(...) before a plural, but for texts that `plural` takes for counts other than 1."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'plural']
    chosen = {part for call in calls for part in call.args}
    for text in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) and node not in chosen):
        for value, after in itertools.pairwise(text.values):
            if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant) and ast.unparse(value.value).startswith('len('):
                if re.match(r' ([a-z]+ )?[a-z]{3,}s\b', after.value) and not re.match(r' (signs|([a-z]+ )?(has|was|less))\b', after.value):
                    yield f'{path}:{value.lineno}: {{{ast.unparse(value.value)}}}{after.value}'


def test_texts_write_counts_by_the_helper():
    folders = [pathlib.Path(package.__file__).parent for package in (tqd_jax, transfer_jax)]
    found = [place for folder in folders for path in folder.rglob('*.py') for place in lengths_before_plurals(path)]
    assert not found, '\n'.join(found)
