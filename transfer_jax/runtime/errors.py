"""The one exception meant for the user's eyes."""


class UserError(Exception):
    """What was wrong, where, and what to do, on one line; mains print it without a traceback and exit with 2."""
