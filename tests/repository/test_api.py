"""The public API: lazy, whole, and each name with a page whose signature, example and output are true."""
import ast
import contextlib
import functools
import inspect
import io
import pathlib
import re
import textwrap

import beartype
import jax
import jaxtyping

import tqd_jax
import transfer_jax

ROOT = pathlib.Path(__file__).parents[2]
PAGES = sorted(path for path in (ROOT / 'docs/api').glob('*.md') if path.name != 'README.md')
PUBLIC = {name: getattr(package, name) for package in (tqd_jax, transfer_jax) for name in package.__all__}
checked = jaxtyping.jaxtyped(typechecker=beartype.beartype)


def names_of(page):
    """The public names of a page: its title."""
    return page.read_text().splitlines()[0].removeprefix('# ').split(', ')


def blocks(page, language):
    """The fenced blocks of a page, without the fences."""
    return re.findall(rf'^```{language}\n(.*?)^```$', page.read_text(), re.DOTALL | re.MULTILINE)


def signature(thing, width=100):
    """A function's or class's signature as its source has it, in lines of about `width`; '' for a constant or an enumeration."""
    if not (inspect.isclass(thing) or inspect.isfunction(inspect.unwrap(thing))):
        return ''
    node = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing)))).body[0]
    if isinstance(node, ast.FunctionDef):
        parts, result = arguments(node.args), f' -> {ast.unparse(node.returns)}' if node.returns else ''
    else:
        parts, result = ['*', *(ast.unparse(field) for field in node.body if isinstance(field, ast.AnnAssign))], ''
    lines = [f'{node.name}(']
    for part in parts:
        if len(lines[-1]) + len(part) > width:
            lines.append('    ')
        lines[-1] += f'{part}, '
    return '\n'.join(line.rstrip() for line in lines).rstrip(',') + f'){result}\n' if len(parts) > 1 or result else ''


def arguments(node):
    """Each argument of a function's syntax tree as text."""
    empty = lambda **changes: ast.unparse(ast.arguments(**{'posonlyargs': [], 'args': [], 'kwonlyargs': [], 'kw_defaults': [],
                                                           'defaults': [], **changes}))
    defaults = [None] * (len(node.args) - len(node.defaults)) + node.defaults
    plain = [empty(args=[arg], defaults=[value] if value else []) for arg, value in zip(node.args, defaults, strict=True)]
    star = ['*'] if node.kwonlyargs else []
    return plain + star + [empty(kwonlyargs=[arg], kw_defaults=[value]).removeprefix('*, ')
                           for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)]


def with_checked_types(monkeypatch):
    """Functions, methods and dataclasses of the API check the types and shapes of their arguments and results."""
    for package in (tqd_jax, transfer_jax):
        for name in package.__all__:
            value = PUBLIC[name]
            if not inspect.isclass(value) and callable(value):
                monkeypatch.setattr(package, name, with_check(value))
            elif inspect.isclass(value) and not jax.tree_util.all_leaves([object.__new__(value)] if False else []):
                pass


def with_check(function):
    return checked(functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs)))


def printed(code):
    """What a program prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, 'example', 'exec'), {'__name__': 'example'})
    return out.getvalue()
