"""UserError: the only exception that mains print for the user."""


class UserError(Exception):
    """The message is one line: what is wrong, where, and what to do. Mains print it without a traceback and exit with 2."""
