"""Writes docs/files.md: the first line of every module's docstring, by folder.

    python docs/file_list.py
"""
import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
TREES = ('tqd_jax', 'transfer_jax', 'benchmarks', 'configs')
PAGE = 'docs/files.md'
HEAD = """# Files

`make files` writes this page from the modules' first lines. `tests/` has the folders of the packages.
"""


def first_line(path):
    """The first line of a module's docstring, '' without one."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or '').partition('\n')[0]


def section(folder):
    """The lines of one folder: a heading, the package's own first line, and a table of its modules."""
    package = folder / '__init__.py'
    modules = sorted(path for path in folder.glob('*.py') if path != package)
    name = folder.relative_to(ROOT).as_posix()
    lines = ['', f'## {name}/', '', *([first_line(package)] if package.exists() else [])]
    rows = [f'| [{path.name}](../{name}/{path.name}) | {first_line(path).replace("|", chr(92) + "|")} |' for path in modules]
    return [*lines, *(['', '| module | what it is for |', '|---|---|', *rows] if rows else [])]


def folders(tree):
    """The folders of a tree that hold modules, each before those inside it."""
    return sorted({path.parent for path in (ROOT / tree).rglob('*.py')}, key=lambda folder: folder.parts)


def page():
    """The text of the page."""
    return '\n'.join([HEAD.rstrip(), *(line for tree in TREES for folder in folders(tree) for line in section(folder))]) + '\n'


if __name__ == '__main__':
    (ROOT / PAGE).write_text(page(), encoding='utf-8')
