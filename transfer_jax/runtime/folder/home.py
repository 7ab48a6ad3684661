"""Home folders in the names of files: a shell leaves ~ alone behind the = of a flag, and no shell reads a config file."""
import os
import pathlib
import re

from transfer_jax.runtime.errors import UserError

HOME = r'(~[^/,]*|\$HOME|\$\{HOME\})(?=/|,|$)'
FIRST = re.compile(HOME)
NAMED = re.compile(rf'(^(?:[^,=/]+=)?|,[^,=/]+=){HOME}')  # where a path begins in 'name=path,name=path', or in one path


def at_home(text: str | os.PathLike) -> str:
    """A path or URL whose ~, ~user, $HOME or ${HOME} at the beginning is replaced by that folder; './~' is a folder of that name.

    Raises:
      UserError: there is no such user, and nothing here has that name.
    """
    text = os.fspath(text)
    start = FIRST.match(text)
    return text if start is None else _folder(start[1], text) + text[start.end():]


def at_homes(text: str) -> str:
    """The same of each path in 'name=path,name=path', or of the one path that the text is. Raises UserError as at_home does."""
    return NAMED.sub(lambda found: found[1] + _folder(found[2], text), text)


def local_path(text: str | os.PathLike) -> pathlib.Path:
    """The local path that a text names, at_home; its own text never begins with ~, so that nothing replaces one in it later."""
    path = pathlib.Path(at_home(text) if isinstance(text, str) else text)
    return path.absolute() if path.parts[:1] and path.parts[0].startswith('~') else path


def _folder(start, text):
    folder = os.path.expanduser(start if start.startswith('~') else '~')
    if not folder.startswith('~'):
        return folder
    if os.path.lexists(start):
        return f'./{start}'
    raise UserError(f'{text}: there is no home folder {start} on this machine; a file of that name is written ./{start}')
