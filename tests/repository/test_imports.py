"""Every name that a file imports from the packages is there: modules, tests, notebooks, pages, and programs that stand in strings."""
import ast
import functools
import json
import pathlib
import re
import textwrap

import pytest

ROOT = pathlib.Path(__file__).parents[2]
OURS = ('tqd_jax', 'transfer_jax', 'benchmarks', 'configs')
FILES = [path for folder in (*OURS, 'tests', 'docs', 'colab') for path in sorted((ROOT / folder).rglob('*'))
         if path.suffix in ('.py', '.ipynb', '.md') and path != pathlib.Path(__file__)] + [ROOT / 'README.md']


@functools.cache
def names_of(module):
    """The names that a module of ours has, or None where there is no such module."""
    path = ROOT.joinpath(*module.split('.'))
    file = path.with_suffix('.py') if path.with_suffix('.py').exists() else path / '__init__.py'
    if not file.exists():
        return {entry.stem for entry in path.iterdir()} if path.is_dir() else None
    tree = ast.parse(file.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names |= {alias.asname or alias.name for node in imports for alias in node.names}
    if file.name == '__init__.py':  # its modules, and the public names, which are texts there
        names |= {entry.stem for entry in path.iterdir()}
        names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return names


def programs(path):
    """The Python texts of a file."""
    text = path.read_text()
    if path.suffix == '.ipynb':
        return [''.join(cell['source']) for cell in json.loads(text)['cells'] if cell['cell_type'] == 'code']
    if path.suffix == '.md':
        return re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text, *(textwrap.dedent(string) for string in strings if 'import ' in string)]


def missing(source):
    """'module name' of every import from a module of ours that has no such name."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a text that is no program
        return []
    wanted = [(node.module, alias.name) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
              and node.module.split('.')[0] in OURS for alias in node.names]
    return [f'{module} {name}' for module, name in wanted if names_of(module) is None or name not in names_of(module) | {'*'}]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imported_names_exist(path):
    assert [name for source in programs(path) for name in missing(source)] == []


def test_a_missing_name_is_seen():
    assert missing('from tqd_jax.data.library import no_such_name') == ['tqd_jax.data.library no_such_name']
    assert missing('from tqd_jax.quality import law') == ['tqd_jax.quality law']
