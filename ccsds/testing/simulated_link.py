"""A link that loses, doubles, reorders, damages and delays what is sent, from a seed.  No clock: time is an argument.

    link = SimulatedLink(LinkQuality(delay_ns=250_000_000, loss=0.1), seed=7)
    link.send(octets, now_ns=0)
    link.poll_timeout()              # 250_000_000: when something arrives
    link.receive(now_ns=250_000_000)

The same seed and the same calls give the same arrivals.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, fields

__all__ = ["LinkQuality", "SimulatedLink"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkQuality:
    """What happens to what is sent; probabilities are per unit, 0 to 1, and independent.

    delay_ns: of every unit.  jitter_ns: up to so much more, without a change of order.
    loss: never arrives.  duplication: arrives twice.  corruption: arrives with one to three bits inverted.
    reordering: arrives up to `reordering_ns` later than it would, after units that were sent after it.
    """

    delay_ns: int
    jitter_ns: int = 0
    loss: float = 0.0
    duplication: float = 0.0
    corruption: float = 0.0
    reordering: float = 0.0
    reordering_ns: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            highest = 1 if isinstance(field.default, float) else float("inf")
            if not 0 <= value <= highest:
                raise ValueError(f"{field.name} is {value!r}, not 0 to {highest}")

    @property
    def longest_delay_ns(self) -> int:
        """The longest that a unit can be on its way; while the link is full, jitter may queue it behind others."""
        return self.delay_ns + self.jitter_ns + self.reordering_ns


class SimulatedLink:
    """One direction of a link.

    Attributes: quality (may be replaced at any time); sent, lost, duplicated, corrupted, reordered, delivered: counts.
    """

    def __init__(self, quality: LinkQuality, *, seed: int) -> None:
        self.quality = quality
        self.sent = self.lost = self.duplicated = self.corrupted = self.reordered = self.delivered = 0
        self._random = random.Random(seed)
        self._on_the_way: list[tuple[int, int, bytes]] = []
        self._number = 0
        self._last_in_order_ns = 0

    def send(self, octets: bytes, *, now_ns: int) -> None:
        """Put a unit on the link."""
        quality, chance = self.quality, self._random.random
        self.sent += 1
        if chance() < quality.loss:
            self.lost += 1
            return
        self._depart(octets, now_ns)
        if chance() < quality.duplication:
            self.duplicated += 1
            self._depart(octets, now_ns)

    def receive(self, *, now_ns: int) -> list[bytes]:
        """What has arrived by now, in the order of arrival."""
        arrived = []
        while self._on_the_way and self._on_the_way[0][0] <= now_ns:
            arrived.append(heapq.heappop(self._on_the_way)[2])
        self.delivered += len(arrived)
        return arrived

    def poll_timeout(self) -> int | None:
        """When the next unit arrives, in nanoseconds; None while the link is empty."""
        return self._on_the_way[0][0] if self._on_the_way else None

    def _depart(self, octets: bytes, now_ns: int) -> None:
        quality, rng = self.quality, self._random
        if octets and rng.random() < quality.corruption:
            self.corrupted += 1
            octets = self._damaged(octets)
        arrival = now_ns + quality.delay_ns + (rng.randint(0, quality.jitter_ns) if quality.jitter_ns else 0)
        if quality.reordering_ns and rng.random() < quality.reordering:
            self.reordered += 1
            arrival += rng.randint(1, quality.reordering_ns)
        else:
            arrival = self._last_in_order_ns = max(arrival, self._last_in_order_ns)
        self._number += 1
        heapq.heappush(self._on_the_way, (arrival, self._number, octets))

    def _damaged(self, octets: bytes) -> bytes:
        """One to three bits inverted: a frame error control field finds all of these."""
        word = int.from_bytes(octets, "big")
        for bit in self._random.sample(range(8 * len(octets)), self._random.randint(1, 3)):
            word ^= 1 << bit
        return word.to_bytes(len(octets), "big")
