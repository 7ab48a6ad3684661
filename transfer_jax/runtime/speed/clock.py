"""Where the wall time of a run goes, over all its starts: steps, waiting, compiling, evaluating, saving, what a kill cost."""
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KINDS = {'step': 'steps', 'wait': 'waiting for data', 'begin': 'loading and compiling', 'evaluate': 'evaluation and samples',
         'save': 'waiting for a save', 'repeated': 'steps that a kill undid', 'away': 'between two starts'}
PREFIX = 'time/'
AT = f'{PREFIX}at'


class Clock:
    """Seconds of a run by KINDS, whose sum is the time since its first start.

        clock = Clock(records, step)
        with clock.spent('evaluate'): ...
        metrics.write(step, clock.scalars())  # from these the next start goes on

    All time outside of `spent` counts as steps.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]] = (), step: int = 0):
        """Goes on from the records of metrics.jsonl, as an earlier start left them, at the step that its checkpoint has."""
        self.seconds = dict.fromkeys(KINDS, 0.0)
        timed = [record for record in records if record.get(AT) is not None]
        if timed:
            last, saved = timed[-1], [record for record in timed if record['step'] <= step]
            self.seconds |= {kind: last.get(PREFIX + kind) or 0.0 for kind in KINDS}
            lost = self.seconds['step'] - (saved[-1][f'{PREFIX}step'] if saved else 0.0)
            self.seconds['step'] -= lost
            self.seconds['repeated'] += lost
            self.seconds['away'] += max(0.0, time.time() - last[AT])
        self._mark = time.perf_counter()

    @property
    def goodput(self) -> float:
        """Share of the time since the first start that steps have, without those that were lost; NaN before any time has passed."""
        total = sum(self.seconds.values())
        return self.seconds['step'] / total if total else float('nan')

    @contextlib.contextmanager
    def spent(self, kind: str) -> Iterator[None]:
        """A context whose time counts as `kind`, one of KINDS."""
        self._count('step')
        try:
            yield
        finally:
            self._count(kind)

    def scalars(self) -> dict[str, float]:
        """{'goodput', 'time/KIND': s, 'time/at': of the Unix clock} up to now."""
        self._count('step')
        return {'goodput': self.goodput, **{PREFIX + kind: seconds for kind, seconds in self.seconds.items()}, AT: time.time()}

    def _count(self, kind):
        now = time.perf_counter()
        self.seconds[kind] += now - self._mark
        self._mark = now


def table(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float]]:
    """(what, seconds, share of the time since the first start) of each kind that took any, of the records of metrics.jsonl; [] of none."""
    timed = [record for record in records if record.get(AT) is not None]
    if not timed:
        return []
    seconds = {what: timed[-1].get(PREFIX + kind) or 0.0 for kind, what in KINDS.items()}
    total = sum(seconds.values())
    return [(what, value, value / total) for what, value in seconds.items() if value > 0]
