"""Counts with their nouns: '1 seed', '2 seeds'."""


def plural(count: float, one: str, many: str | None = None) -> str:
    """The word for a count: `one` for 1, else `many`, by default `one` with an s."""
    return one if count == 1 else many or f'{one}s'


def counted(count: float, one: str, many: str | None = None) -> str:
    """A count with the word for it, which may bring its verb: counted(1, 'clip has', 'clips have')."""
    return f'{count} {plural(count, one, many)}'
