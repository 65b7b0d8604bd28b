"""Taking turns: by absolute priority, by weight, or by a polling vector; and rate limits.

Sources: CCSDS 132.0-B-3, 4.2.5 and 4.2.6; 732.0-B-5, 4.2.4 and 4.2.5; 232.0-B-4, 4.3.3 to 4.3.6; 732.1-B-3, 4.2.5 to
4.2.8.  The standards leave the schemes to the mission; they are the same for MAPs, virtual and master channels.
No clock: time is an argument in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar

from ccsds.errors import ConfigurationError

__all__ = ["AbsolutePriority", "PollingVector", "RateLimit", "Turns", "WeightedRoundRobin"]

K = TypeVar("K", bound=Hashable)
_NANOSECONDS: Final = 1_000_000_000


class Turns(Protocol[K]):
    """A scheme by which channels take turns."""

    def choose(self, ready: Collection[K]) -> K | None:
        """Whose turn it is, among those with something to send; None where there are none.  The turn is then taken."""


class AbsolutePriority(Generic[K]):
    """The lowest number goes first; channels of the same number take turns.

    A channel waits as long as one of a lower number has something to send: limit the rate of that one.
    """

    def __init__(self, priorities: Mapping[K, int]) -> None:
        self._priorities = dict(priorities)
        self._last_turn: dict[K, int] = dict.fromkeys(priorities, -1)
        self._turns = 0

    def choose(self, ready: Collection[K]) -> K | None:
        """The ready channel of the lowest number; of several, the one whose last turn is the longest ago."""
        chosen = min(ready, key=lambda key: (self._priorities[key], self._last_turn[key]), default=None)
        if chosen is not None:
            self._last_turn[chosen] = self._turns
            self._turns += 1
        return chosen


class WeightedRoundRobin(Generic[K]):
    """Each ready channel has its share of the turns, evenly spread.

    While the same channels are ready, a channel of weight w has, after any n turns, less than one turn more or less
    than n * w / W, W being the sum of their weights.  The rule is that of quotas: among those that are not ahead of
    their share the one whose next turn is due first (Tijdeman's solution of the chairman assignment problem).  Who has
    nothing to send does not save turns up, and who is ahead cannot get rid of that by falling silent.
    """

    def __init__(self, weights: Mapping[K, int]) -> None:
        for key, weight in weights.items():
            if weight < 1:
                raise ConfigurationError(f"multiplexing: the weight of {key!r} is {weight}, not 1 or more")
        self._weights = dict(weights)
        self._lags: dict[K, int] = dict.fromkeys(weights, 0)
        """turns due and not had, in units of 1 / W of a turn; the next turn of a channel is due at W"""

    def choose(self, ready: Collection[K]) -> K | None:
        """The ready channel whose next turn is due first."""
        if not ready:
            return None
        weights, lags = self._weights, self._lags
        total = sum(weights[key] for key in ready)
        for key, weight in weights.items():
            lag = lags[key]
            if key in ready:
                lags[key] = lag + weight
            else:  # nothing is owed to it; what it had too much wears off as its share passes by
                lags[key] = min(0, lag + weight)
        chosen: K | None = None
        for key in ready:
            # due after (total - lag) / weight turns; compared without division
            if chosen is None or self._is_before(key, chosen, total):
                chosen = key
        assert chosen is not None
        lags[chosen] -= total
        return chosen

    def _is_before(self, key: K, other: K, total: int) -> bool:
        mine, theirs = self._lags[key], self._lags[other]
        if (mine > 0) != (theirs > 0):
            return mine > 0
        return (total - mine) * self._weights[other] < (total - theirs) * self._weights[key]


class PollingVector(Generic[K]):
    """Turns go round the vector, over and over; a channel without anything to send is passed over.

    A ready channel waits for at most as many turns as the vector is long.  A channel may stand in it several times.
    """

    def __init__(self, vector: Sequence[K]) -> None:
        if not vector:
            raise ConfigurationError("multiplexing: the polling vector is empty")
        self._vector = tuple(vector)
        self._next = 0

    def choose(self, ready: Collection[K]) -> K | None:
        """The next in the vector that is ready."""
        size = len(self._vector)
        for step in range(size):
            key = self._vector[(self._next + step) % size]
            if key in ready:
                self._next = (self._next + step + 1) % size
                return key
        return None


class RateLimit:
    """A limit on the bits per second of one channel.

    A unit may go as soon as those before it are paid off.  So in any window of t seconds, begun and ended anywhere, no
    more than bits_per_second * t bits go, one unit, and `burst_octets` that may go on credit.  All integers: no drift.
    """

    def __init__(self, bits_per_second: int, *, burst_octets: int = 0) -> None:
        if bits_per_second < 1 or burst_octets < 0:
            raise ConfigurationError(
                f"rate limit: {bits_per_second} bits per second with {burst_octets} octets of burst; "
                "1 or more and 0 or more"
            )
        self.bits_per_second = bits_per_second
        self._credit = 8 * burst_octets * _NANOSECONDS
        self._debt = 0
        """what is not paid off, in bits times nanoseconds per second"""
        self._now_ns: int | None = None

    def _owed(self, now_ns: int) -> int:
        """The debt at `now_ns`; a clock that goes back pays nothing."""
        if self._now_ns is None or now_ns <= self._now_ns:
            return self._debt
        return max(0, self._debt - self.bits_per_second * (now_ns - self._now_ns))

    def permits(self, now_ns: int) -> bool:
        """Whether a unit, of any length, may go now."""
        return self._owed(now_ns) <= self._credit

    def ready_ns(self, now_ns: int) -> int:
        """When the next unit may go: `now_ns`, or later."""
        too_much = self._owed(now_ns) - self._credit
        if too_much <= 0:
            return now_ns
        return max(now_ns, self._now_ns or 0) + -(-too_much // self.bits_per_second)

    def charge(self, octets: int, now_ns: int) -> None:
        """A unit of `octets` octets has gone."""
        self._debt = self._owed(now_ns) + 8 * octets * _NANOSECONDS
        self._now_ns = now_ns if self._now_ns is None else max(now_ns, self._now_ns)
