"""UserError: the only exception that mains print for the user."""
import contextlib
import re
import sys
from collections.abc import Iterator


class UserError(Exception):
    """The message is one line: what is wrong, where, and what to do. Mains print it without a traceback and exit with 2."""


@contextlib.contextmanager
def errors_in_one_line(*also: type[Exception]) -> Iterator[None]:
    """Ends the program with one line on stderr and code 2 where the block raises UserError, or an error of the types `also`."""
    try:
        yield
    except (UserError, *also) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)


def system_reason(error: BaseException) -> str | None:
    """The operating system's reason, or None for an error of another kind; tensorstore wraps it in a ValueError."""
    if isinstance(error, OSError):
        return error.strerror
    match = re.search(r': ([^:]*?) \[os_error_code', str(error))
    return match and match[1]
