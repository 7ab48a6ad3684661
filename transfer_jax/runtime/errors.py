"""UserError: the only exception that mains print for the user."""
import re


class UserError(Exception):
    """The message is one line: what is wrong, where, and what to do. Mains print it without a traceback and exit with 2."""


def system_reason(error: BaseException) -> str | None:
    """The operating system's reason, or None for an error of another kind; tensorstore wraps it in a ValueError."""
    if isinstance(error, OSError):
        return error.strerror
    match = re.search(r': ([^:]*?) \[os_error_code', str(error))
    return match and match[1]
