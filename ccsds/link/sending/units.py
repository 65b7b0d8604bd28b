"""Service data units that are no packets: access data, octet streams, bitstreams.

Sources: CCSDS 132.0-B-3, 4.2.3; 732.0-B-5, 4.2.2 and 4.2.3; 732.1-B-3, 4.1.4.2.2 and 4.2.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ccsds.errors import EncodeError
from ccsds.frames.aos_data_field import B_PDU_HEADER, NO_IDLE_DATA
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.uslp_data_field import POINTER_ALL_ONES, ConstructionRule
from ccsds.link.sending.source import Content, Source, UnitQueue

__all__ = ["AccessZones", "Bitstream", "FixedUnits", "OctetStream"]


class FixedUnits(UnitQueue):
    """Units that are a data field each, octet for octet (VCA; truncated USLP frames)."""

    def __init__(self, name: str, queue_octets: int, unit_octets: int, header: bytes = b"") -> None:
        super().__init__(name, queue_octets)
        self.unit_octets = unit_octets
        self._header = header
        self._status: deque[tuple[int, int, int, int]] = deque()

    def push_unit(self, octets: bytes, unit_id: int, status: tuple[int, int, int, int]) -> None:
        """One more unit.  Raises: EncodeError: of another length.  QueueFullError."""
        if len(octets) != self.unit_octets:
            raise EncodeError(f"{self.name}: a unit has {self.unit_octets} octets, not {len(octets)}")
        self.push(octets, unit_id)
        self._status.append(status)

    def take(self, complete: bool) -> Content:
        """The next unit."""
        unit_id, octets = self._units.popleft()
        self._octets -= len(octets)
        return Content(self._header + octets, (unit_id,), self._status.popleft())


class AccessZones(UnitQueue):
    """Units over zones of fixed length, each beginning a zone of its own (USLP, rules 001 and 010)."""

    def __init__(
        self, name: str, queue_octets: int, zone_octets: int, wrap: Callable[[ConstructionRule, int, bytes], bytes]
    ) -> None:
        super().__init__(name, queue_octets)
        self._zone_octets = zone_octets
        self._wrap = wrap
        self._fill = OnlyIdleDataFill()
        self._at = 0

    def take(self, complete: bool) -> Content:
        """The next zone; a unit that ends in it leaves the rest to fill."""
        unit_id, octets = self._units[0]
        rule = ConstructionRule.CONTINUING_ACCESS_UNIT if self._at else ConstructionRule.START_OF_ACCESS_UNIT
        piece = octets[self._at : self._at + self._zone_octets]
        self._at += len(piece)
        self._octets -= len(piece)
        if self._at < len(octets):
            return Content(self._wrap(rule, POINTER_ALL_ONES, piece))
        self._units.popleft()
        self._at = 0
        zone = piece + self._fill.take(self._zone_octets - len(piece))
        return Content(self._wrap(rule, len(piece) - 1, zone), (unit_id,))

    def abandon(self) -> tuple[int, ...]:
        """Drop the rest of a unit that has gone in part."""
        if not self._at:
            return ()
        unit_id, octets = self._units.popleft()
        self._octets -= len(octets) - self._at
        self._at = 0
        return (unit_id,)


class OctetStream(Source):
    """A stream without units; what is given at a time is a unit only to tell when it has gone.

    Frames of fixed length have no way to say that a zone is not full (rule 011): they wait until it is.
    """

    def __init__(self, name: str, queue_octets: int, zone_octets: int, header: bytes, *, fixed: bool) -> None:
        super().__init__(name, queue_octets)
        self._zone_octets = zone_octets
        self._header = header
        self._least = zone_octets if fixed else 1
        self._stream = bytearray()
        self._begin = 0
        self._ends: deque[tuple[int, int]] = deque()

    @property
    def pending_octets(self) -> int:
        """Octets that have not gone."""
        return len(self._stream)

    def push(self, octets: bytes, unit_id: int) -> None:
        """More of the stream.  Raises: EncodeError: nothing.  QueueFullError."""
        if not octets:
            raise EncodeError(f"{self.name}: nothing to send")
        self.require_room(len(octets))
        self._stream += octets
        self._ends.append((self._begin + len(self._stream), unit_id))

    def is_ready(self, complete: bool) -> bool:
        """Whether there is enough for a frame."""
        return len(self._stream) >= self._least

    def take(self, complete: bool) -> Content:
        """As much as fits into a frame."""
        piece = bytes(self._stream[: self._zone_octets])
        del self._stream[: self._zone_octets]
        self._begin += len(piece)
        units = []
        while self._ends and self._ends[0][0] <= self._begin:
            units.append(self._ends.popleft()[1])
        return Content(self._header + piece, tuple(units))


class Bitstream(Source):
    """Bits over B_PDUs (AOS).  A zone that is not full says where its last user bit is."""

    def __init__(self, name: str, queue_octets: int, zone_octets: int) -> None:
        super().__init__(name, queue_octets)
        self._zone_octets = zone_octets
        self._fill = OnlyIdleDataFill()
        self._stream = bytearray()
        """bits from the first octet's most significant one on; those behind the last are zero"""
        self._bits = 0
        self._begin = 0
        self._ends: deque[tuple[int, int]] = deque()
        self._flushed_end = 0

    @property
    def pending_octets(self) -> int:
        """Octets of the bits that have not gone, the last one counted whole."""
        return len(self._stream)

    def push(self, octets: bytes, bits: int, unit_id: int) -> None:
        """The first `bits` bits of `octets`.  Raises: EncodeError: none, or more than there are.  QueueFullError."""
        if not 0 < bits <= 8 * len(octets):
            raise EncodeError(f"{self.name}: {bits} bits of {len(octets)} octets")
        self.require_room(-(-bits // 8))
        value = int.from_bytes(octets, "big") >> 8 * len(octets) - bits
        held = self._bits % 8
        if held:
            value |= self._stream.pop() >> 8 - held << bits
        total = held + bits
        self._stream += (value << -total % 8).to_bytes(-(-total // 8), "big")
        self._bits += bits
        self._ends.append((self._begin + self._bits, unit_id))

    def flush(self) -> None:
        """The bits that wait go out with the next frames."""
        self._flushed_end = self._begin + self._bits

    def is_ready(self, complete: bool) -> bool:
        """Whether there is a zone full of bits, or part of one and it may be completed."""
        if self._bits >= 8 * self._zone_octets:
            return True
        return bool(self._bits) and (complete or self._flushed_end > self._begin)

    def take(self, complete: bool) -> Content:
        """The next B_PDU."""
        size = self._zone_octets
        zone = bytes(self._stream[:size])
        del self._stream[:size]
        bits = min(self._bits, 8 * size)
        self._bits -= bits
        self._begin += bits
        pointer = NO_IDLE_DATA if bits == 8 * size else bits - 1
        zone += self._fill.take(size - len(zone))
        units = []
        while self._ends and self._ends[0][0] <= self._begin:
            units.append(self._ends.popleft()[1])
        return Content(B_PDU_HEADER.pack_values(0, pointer) + zone, tuple(units))
