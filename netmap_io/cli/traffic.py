"""What pump, gen and sink share: when to stop, how to send into a port that is full, and rates while they run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from netmap_io.errors import PortError

if TYPE_CHECKING:
    from netmap_io.burst import Burst
    from netmap_io.port import Port

__all__ = ["Flow", "LiveRates", "Sender", "Stop", "close_port", "duration", "port_counters", "rate_text"]

WAIT_S = 0.1
"""How long a port is waited for before the clock and the keyboard are looked at."""
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 20e-6, 1e-3


class Stop:
    """Whether enough has been done: frames, seconds, or a word from elsewhere."""

    def __init__(self, count: int | None, seconds: float | None) -> None:
        self.count = count
        self.started = time.monotonic()
        self._deadline = None if seconds is None else self.started + seconds
        self._told = threading.Event()

    def now(self) -> None:
        self._told.set()

    def __call__(self) -> bool:
        return self._told.is_set() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def left(self, done: int, most: int) -> int:
        """How many frames there are still to do, at most `most`."""
        return most if self.count is None else min(most, self.count - done)

    @property
    def wait_s(self) -> float:
        """How long to wait for a port."""
        return WAIT_S if self._deadline is None else max(0.0, min(WAIT_S, self._deadline - time.monotonic()))

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started


@dataclass(slots=True)
class Flow:
    """What went one way.  received = sent + no_room + too_long + given_up + failed."""

    received_frames: int = 0
    received_octets: int = 0
    sent_frames: int = 0
    sent_octets: int = 0
    no_room: int = 0
    """Frames that a full port did not take, under --when-full drop."""
    too_long: int = 0
    """Frames longer than the port can carry."""
    given_up: int = 0
    """Frames that a full port had not taken yet when it was time to stop."""
    failed: int = 0
    """Frames that were to be sent when the port failed."""
    retries: int = 0

    @property
    def dropped(self) -> int:
        return self.no_room + self.too_long + self.given_up + self.failed

    def to_dict(self) -> dict[str, int]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


class Sender:
    """Sends into a port by a policy, and counts what became of the frames."""

    def __init__(self, port: Port, flow: Flow, *, retry: bool, stop: Stop) -> None:
        self.port, self.flow, self.retry, self.stop = port, flow, retry, stop

    def send(self, burst: Burst, pause_s: Callable[[Burst], float] = lambda _: 0.0) -> None:
        """Send all of it.  pause_s: how long the port is known to have no room for what is left."""
        burst = self._fitting(burst)
        pause = SHORTEST_PAUSE_S
        while len(burst):
            taken = self.port.send(burst)
            self.flow.sent_frames += taken
            if taken == len(burst):
                self.flow.sent_octets += burst.octets
                return
            self.flow.sent_octets += burst[:taken].octets
            burst = burst[taken:]
            wait_s = pause_s(burst)
            if not self.retry and not wait_s:
                self.flow.no_room += len(burst)
                return
            if self.stop():
                self.flow.given_up += len(burst)
                return
            self.flow.retries += 1
            pause = SHORTEST_PAUSE_S if taken else min(2 * pause, LONGEST_PAUSE_S)
            time.sleep(min(WAIT_S, max(pause, wait_s)))

    def _fitting(self, burst: Burst) -> Burst:
        longest = self.port.capabilities.maximum_frame_octets
        if not len(burst) or int(burst.lengths.max()) <= longest:
            return burst
        import numpy as np

        from netmap_io.wrappers.frames import select_frames

        fits = np.flatnonzero(burst.lengths <= longest)
        self.flow.too_long += len(burst) - len(fits)
        return select_frames(burst, fits)


class LiveRates:
    """Frames and bits per second on standard error, each second: rewritten on a terminal, else a line each."""

    def __init__(self, program: str, wanted: bool | None) -> None:
        self._program = program
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._wanted = self._terminal if wanted is None else wanted
        self._told = time.monotonic()
        self._last = (0, 0)
        self._shown = False

    def tick(self, frames: int, octets: int, remark: str = "") -> None:
        now = time.monotonic()
        if not self._wanted or now - self._told < 1:
            return
        rates = rate_text(frames - self._last[0], octets - self._last[1], now - self._told)
        line = f"{self._program}: {frames:,} frames, {rates}{remark}"
        click.echo(f"\r\x1b[K{line}" if self._terminal else line, err=True, nl=not self._terminal)
        self._told, self._last, self._shown = now, (frames, octets), True

    def end(self) -> None:
        if self._shown and self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)


def rate_text(frames: int, octets: int, seconds: float) -> str:
    """ "1,000 frames/s, 0.5 Mbit/s" """
    seconds = max(seconds, 1e-9)
    return f"{frames / seconds:,.0f} frames/s, {octets * 8 / seconds / 1e6:,.1f} Mbit/s"


def duration(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say when to stop."""
    from ccsds.cli.style import option

    count = option("--count", group="Duration", type=click.IntRange(1), help="stop after so many frames")
    seconds = option("--seconds", group="Duration", type=click.FloatRange(0, min_open=True), help="stop after so long")
    return count(seconds(command))


def close_port(port: Port) -> Exception | None:
    """Close a port; what goes wrong is returned, so that the account can be printed first."""
    try:
        port.close()
    except (PortError, OSError) as error:
        return error
    return None


def port_counters(port: Port) -> dict[str, int | None]:
    """A port's own account, by name."""
    return {each.name: getattr(port.counters, each.name) for each in fields(port.counters)}
