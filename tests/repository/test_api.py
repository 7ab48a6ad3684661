"""The public API: lazy and whole, and every name has a page whose signature, example and output are true."""
import ast
import contextlib
import functools
import inspect
import io
import pathlib
import re
import subprocess
import sys
import textwrap

import beartype
import jaxtyping
import numpy as np
import pytest

import tqd_jax
import transfer_jax
import transfer_jax.sklearn

ROOT = pathlib.Path(__file__).parents[2]
INDEX = ROOT / 'docs/api/README.md'
PAGES = sorted(set((ROOT / 'docs/api').glob('*.md')) - {INDEX})
PACKAGES = (tqd_jax, transfer_jax, transfer_jax.sklearn)
MAX_LINES = 40
tower = beartype.BeartypeConf(is_pep484_tower=True)  # an int is a float
checked = jaxtyping.jaxtyped(typechecker=beartype.beartype(conf=tower))


def names_of(page):
    """The public names that a page is about: its title."""
    return page.read_text().splitlines()[0].removeprefix('# ').split(', ')


def blocks(page, language):
    """The fenced blocks of a page in one language, without the fences."""
    return re.findall(rf'^```{language}\n(.*?)^```$', page.read_text(), re.DOTALL | re.MULTILINE)


def signature(thing):
    """A function's signature as its source has it, a dataclass's fields, or an estimator's parameters; None for anything else."""
    thing = inspect.unwrap(thing)
    if hasattr(thing, 'get_params'):
        return textwrap.fill(f'{thing.__name__}{inspect.signature(thing)}', 100, subsequent_indent='    ') + '\n'
    if inspect.isfunction(thing):
        header = re.search(r'^def (.*?):\n    """', inspect.getsource(thing), re.DOTALL | re.MULTILINE)[1]
        return header.replace('\n    ', '\n') + '\n'
    body = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0].body if inspect.isclass(thing) else ()
    names = vars(sys.modules[thing.__module__]) if inspect.isclass(thing) else {}
    fields = [as_written(node, names).replace(' ', '\0') for node in body if isinstance(node, ast.AnnAssign)]  # no break within a field
    text = textwrap.fill(f'{thing.__name__}(*, {", ".join(fields)})', 100, subsequent_indent='    ') if fields else None
    return text and text.replace('\0', ' ') + '\n'


def as_written(field, names):
    """A field of a dataclass as its source has it, but the value of a default that another class has: a reader has no use for its name."""
    if isinstance(field.value, ast.Attribute):
        value = eval(ast.unparse(field.value), dict(names))
        field.value = ast.Constant(value) if isinstance(value, str | int | float | None) else field.value
    return ast.unparse(field)


def check_types(monkeypatch):
    """Lets every public function and method check its annotations: shapes and dtypes of arguments and results."""
    for package in PACKAGES:
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    if isinstance(function, classmethod) or (inspect.isfunction(function) and method.strip('_') in (method, 'call')):
                        monkeypatch.setattr(value, method, checked(function))
            elif callable(value):
                monkeypatch.setattr(package, name, checked(as_function(value)))


def as_function(value):
    """A function of Python's that calls a jitted one."""
    @functools.wraps(value)
    def call(*args, **kwargs):
        return value(*args, **kwargs)

    return call


def printed(code):
    """What a program prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, 'example', 'exec'), {})
    return out.getvalue()


@pytest.mark.parametrize('package', PACKAGES, ids=lambda package: package.__name__)
def test_star_brings_the_public_names_and_no_others(package):
    namespace = {}
    exec(f'from {package.__name__} import *', namespace)
    assert set(package.__all__) == namespace.keys() - {'__builtins__'} and set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'laws'"):
        package.laws  # noqa: B018


def test_what_reads_and_scores_clips_imports_no_jax():
    names = 'read_clip, read_clips, write_clip, render_library, score_clip, Settings, Normaliser, quadrant, acceptance_probability'
    code = f'import sys, tqd_jax, transfer_jax\nfrom tqd_jax import {names}\nprint("jax" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ('False\n', '')


def test_every_public_name_has_a_page_and_a_line_in_the_index():
    documented = sorted(name for page in PAGES for name in names_of(page))
    assert documented == sorted(name for package in PACKAGES for name in package.__all__)
    assert [page.stem for page in PAGES] == [names_of(page)[0] for page in PAGES]
    assert len({page.name.lower() for page in PAGES}) == len(PAGES), 'some file systems do not tell cases apart'
    links = re.findall(r'\[`(\w+)`\]\((\w+)\.md\)', INDEX.read_text())
    assert sorted(links) == sorted((name, page.stem) for page in PAGES for name in names_of(page))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_a_page_is_short_and_its_signatures_are_those_of_the_code(page):
    things = [getattr(next(package for package in PACKAGES if name in package.__all__), name) for name in names_of(page)]
    assert blocks(page, 'py') == [text for thing in things if (text := signature(thing))]
    assert len(page.read_text().splitlines()) < MAX_LINES


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_an_example_prints_what_its_page_says(page, monkeypatch, tmp_path):
    check_types(monkeypatch)
    monkeypatch.chdir(tmp_path)
    [code], [output] = blocks(page, 'python'), blocks(page, 'text')
    assert printed(code) == output


def test_a_wrong_shape_or_dtype_is_caught_where_types_are_checked(monkeypatch):
    right, wrong = np.eye(2), np.ones((2, 3))
    check_types(monkeypatch)
    assert transfer_jax.source_weights(10, [5.0, 5.0], right).weights.shape == (2,)
    for call in (lambda: transfer_jax.predicted_error(10, [5.0, 5.0], wrong), lambda: transfer_jax.predicted_error(10, 'ab', right),
                 lambda: tqd_jax.acceptance_probability(np.ones(2), np.ones(3)),
                 lambda: tqd_jax.Normaliser.fit(np.ones((2, 2)))):
        with pytest.raises(jaxtyping.TypeCheckError):
            call()


@pytest.mark.parametrize('package', PACKAGES)
def test_dir_lists_the_public_names_alone(package):
    assert dir(package) == sorted(package.__all__)
