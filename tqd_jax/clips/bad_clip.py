"""What is raised of a clip that cannot be used; it imports nothing, so that a process that only reads cached frames needs no decoder."""


class BadClip(Exception):
    """One clip cannot be used; the message is the reason, on one line."""
