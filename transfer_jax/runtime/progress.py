"""Progress on stderr (rate and time left; few lines where it is no terminal), and SIGTERM or SIGINT as a request to stop."""
import os
import signal
import sys
import time
from typing import TextIO

from tqdm import tqdm

FORMAT = '{desc}{percentage:3.0f} %|{bar}| {n_fmt}/{total_fmt}, {rate_fmt}, {remaining} left{postfix}'
STOP_MESSAGE = b'\nstopping after the next save; a second signal stops at once\n'


class Progress:
    """A bar on a terminal; elsewhere a plain line every 10 % or 10 seconds, whichever is first. Only process 0 prints."""

    def __init__(self, total: int, start: int = 0, label: str = '', unit: str = 'step', file: TextIO | None = None,
                 process: int | None = None, since: float | None = None, warms: bool = False):
        """Counts from `start` to `total` units, on `file` (None: stderr). process: number of this process (None: its number in its job).

        since: time.monotonic() when the first unit began, if that was before. warms: the first update takes longer than those after it, as
        where it compiles, and does not enter the rate.
        """
        if process is None:  # JAX need not start for it, nor be imported: without it a process is in no job
            jax = sys.modules.get('jax')
            process = jax.process_index() if jax is not None and jax.distributed.is_initialized() else 0
        self.file = sys.stderr if file is None else file
        self.total, self.count, self.label, self.unit = total, start, label, unit
        self.plain = not self.file.isatty() and process == 0
        self._line_count, self._line_time, self._warms = start, time.monotonic() if since is None else since, warms
        self._bar = tqdm(total=total, initial=start, desc=f'{label}: ', unit=f' {unit}', bar_format=FORMAT, dynamic_ncols=True,
                         file=self.file, disable=self.plain or process > 0)

    def update(self, count: int = 1, **values: str) -> None:
        """Adds `count` units; `values` (loss='0.123') stand at the end of the line."""
        if self._warms and count:
            self._warms = False
            self.skip(count)
            self._line_time = time.monotonic()
            self._bar.start_t = self._bar.last_print_t = time.time()
            count = 0
        self.count += count
        self._bar.set_postfix(values, refresh=False)
        self._bar.update(count)
        seconds = time.monotonic() - self._line_time
        if self.plain and (seconds >= 10 or 10 * (self.count - self._line_count) >= self.total or self.count >= self.total):
            self._print_line(seconds, values)

    def skip(self, count: int) -> None:
        """Adds `count` units that took no time: they do not enter the rate."""
        self.count += count
        self._line_count += count
        if not self._bar.disable:
            self._bar.initial += count
            self._bar.n += count

    def _print_line(self, seconds, values):
        rate = (self.count - self._line_count) / max(seconds, 1e-9)
        left = time_left(self.total - self.count, rate)
        end = ''.join(f', {name}={value}' for name, value in values.items())
        print(f'{self.label}: {self.count}/{self.total}, {rate:.2f} {self.unit}/s, {left} left{end}', file=self.file, flush=True)
        self._line_count, self._line_time = self.count, time.monotonic()

    def close(self) -> None:
        """Ends the bar's line."""
        self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def time_left(count: int, rate: float) -> str:
    """The time that `count` more units take at `rate` a second, as '01:05'; '?' where the rate is 0."""
    if count <= 0:
        return tqdm.format_interval(0)
    return tqdm.format_interval(count / rate) if rate > 0 else '?'


class Stopped(Exception):
    """A request stopped the work; what it made is kept."""


class StopRequest:
    """While entered, the first SIGTERM or SIGINT only sets `requested`; a second one acts as outside of it. For the main thread.

        with StopRequest() as stop:
            while not stop.requested: ...

    Entered within another one, it is that one: a request that came before counts.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self._requested, self._signalled = False, False
        self._outer = None

    @property
    def requested(self):
        """Whether a signal came."""
        return self._requested if self._outer is None else self._outer.requested

    def request(self):
        """Requests a stop, as a signal does; of signals, the first that comes to this process is still the first."""
        if self._outer is not None:
            self._outer.request()
            return
        if not self._requested:
            os.write(2, STOP_MESSAGE)  # not print, within which a signal may come
        self._requested = True

    def __enter__(self):
        self._outer = _entered()
        if self._outer is None:
            self._before = {number: signal.signal(number, self._handle) for number in self.SIGNALS}
        return self

    def __exit__(self, *exception):
        if self._outer is None:
            self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        if self._signalled:
            self._restore()
            os.kill(os.getpid(), number)
        self._signalled = True
        self.request()


def stop_is_requested() -> bool:
    """Whether a stop is requested by the StopRequest that is entered; False where none is."""
    entered = _entered()
    return entered is not None and entered.requested


def _entered():
    """The outermost StopRequest that is entered, or None."""
    handler = getattr(signal.getsignal(signal.SIGTERM), '__self__', None)
    return handler if isinstance(handler, StopRequest) else None
