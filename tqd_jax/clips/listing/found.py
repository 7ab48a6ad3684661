"""What a source of clips is found to hold: its table, and what the user is told of it."""
import collections
import dataclasses

import pyarrow as pa

from transfer_jax.runtime.errors import UserError


class NoTable(UserError):
    """A file is no table of clips, though it is called like one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A table of clips. others: {ending: files in its folder that are left out}. lines: what was noticed while it was read.

    origins: {where captions come from: clips that have theirs from there}. unread: what may hold captions and is not read.
    """
    table: pa.Table
    others: dict = dataclasses.field(default_factory=dict)
    lines: tuple = ()
    origins: dict = dataclasses.field(default_factory=dict)
    unread: tuple = ()

    def replace(self, **changes):
        """A copy with other values."""
        return dataclasses.replace(self, **changes)


def joined(table: pa.Table, parts: list[Found]) -> Found:
    """The Found of several, whose tables became one."""
    total = lambda name: dict(sum((collections.Counter(getattr(part, name)) for part in parts), collections.Counter()))
    return Found(table=table, others=total('others'), origins=total('origins'), lines=tuple(line for part in parts for line in part.lines),
                 unread=tuple(line for part in parts for line in part.unread))
