"""Commands, Python snippets and links of Markdown pages; and what a command asks of its program, without the program's work."""
import argparse
import ast
import contextlib
import importlib
import io
import pathlib
import re
import shlex
import sys
import textwrap
from unittest import mock

from absl import flags
from absl.testing import flagsaver

FENCE = re.compile(r'^( *)```(\w*)\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
SPAN = re.compile(r'`([^`\n]+)`')
LINK = re.compile(r'\]\(([^)\s]+)\)')
COMMAND = re.compile(r'(?:[\w./-]*/)?(?:python3?|pip|make) |make$')


class Parsed(Exception):
    """A program has read its flags."""


def python_snippets(text):
    """The Python code of a page, block by block."""
    return [textwrap.dedent(code) for _, language, code in FENCE.findall(text) if language == 'python']


def commands(text):
    """The commands of a page: lines of its blocks without a language, and what stands between backquotes in its text."""
    plain = FENCE.sub('', text)
    blocks = [code for _, language, code in FENCE.findall(text) if language in ('', 'bash', 'sh')]
    blocks += [textwrap.dedent(block) for block in re.findall(r'(?:^(?: {4}|\t).*\n)+', plain, re.MULTILINE)]
    lines = [line.strip() for block in blocks for line in block.replace('\\\n', ' ').splitlines()]
    spans = [span.replace('\n', ' ') for span in SPAN.findall(re.sub(r'^(?: {4}|\t).*\n', '', plain, flags=re.MULTILINE))]
    return list(dict.fromkeys(line for line in lines + spans if COMMAND.match(line)))


def links(text):
    """The targets of a page's links, without those in code and those to other places."""
    prose = SPAN.sub('', FENCE.sub('', text))
    return [target for target in LINK.findall(prose) if not re.match(r'\w+:', target)]


def anchors(text):
    """The anchors of a page's headings, as GitHub and the site make them."""
    titles = re.findall(r'^#+ (.*)$', FENCE.sub('', text), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', title.lower()).strip().replace(' ', '-') for title in titles}


def words(command):
    """The commands of one line, each as a list of words, without a comment."""
    lists = [[]]
    for word in shlex.split(command, comments=True):
        lists = [*lists, []] if word == '&&' else [*lists[:-1], [*lists[-1], word]]
    return lists


def parse_flags(module, arguments):
    """Reads a program's flags as `python -m module ARGUMENTS` does, and runs nothing of it. Raises ValueError where it refuses them."""
    program = importlib.import_module(_main_module(module))
    body = [node.body for node in ast.parse(pathlib.Path(program.__file__).read_text()).body if isinstance(node, ast.If)][-1]
    argv, stderr = [program.__file__, *arguments], io.StringIO()
    with flagsaver.flagsaver(), mock.patch.object(sys, 'argv', argv), mock.patch('absl.app.run', _read_flags), \
            mock.patch.object(argparse.ArgumentParser, 'parse_args', _read_arguments), mock.patch('jax.config.update'), \
            contextlib.redirect_stderr(stderr):
        try:
            exec(compile(ast.Module(body, []), program.__file__, 'exec'), vars(program))  # what stands under `if __name__ == '__main__'`
        except Parsed:
            return
        except SystemExit:
            pass
    raise ValueError(f'python -m {shlex.join([module, *arguments])}: {stderr.getvalue()}')


def _main_module(module):
    return f'{module}.__main__' if importlib.util.find_spec(module).submodule_search_locations else module


def _read_flags(main, flags_parser=flags.FLAGS):
    try:
        rest = flags_parser(sys.argv)
    except flags.Error as error:
        raise ValueError(str(error)) from error
    if flags_parser is flags.FLAGS and rest[1:]:
        raise ValueError(f'{rest[1]} is no flag')
    raise Parsed


def _read_arguments(parser, argv=None):
    _, rest = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    if rest:
        parser.error(f'no such arguments: {rest}')
    raise Parsed
