"""Packets one after the other over zones of fixed length, and idle packets where there are none.

Sources: CCSDS 132.0-B-3, 4.2.2; 732.0-B-5, 4.2.2; 732.1-B-3, 4.2.2 and construction rule 000; idle packets: 133.0-B-2,
4.1.3.3.4.4, and 133.1-B-3, 4.1.2.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ccsds.errors import DecodeError, EncodeError
from ccsds.link.sending.source import Content, Source, Wrap
from ccsds.packets import space_packet
from ccsds.packets.encapsulation_packet import PACKET_VERSION_NUMBER, EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.packet_extraction import packet_length

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["IdlePackets", "PacketRules", "PacketZones"]

_COUNTS = 1 << space_packet.PRIMARY_HEADER["packet_sequence_count"].bits


class PacketRules:
    """Which packets a virtual channel or MAP takes (managed)."""

    def __init__(self, name: str, valid_packet_versions: Collection[int], maximum_packet_octets: int) -> None:
        self.name = name
        self.valid_packet_versions = frozenset(valid_packet_versions)
        self.maximum_packet_octets = maximum_packet_octets

    def octets(self, packet: Any) -> bytes:
        """The octets of one packet, given as such or as an object that encodes.

        Raises: EncodeError: not exactly one packet, of a version that is not valid here, or too long.
        """
        octets = bytes(memoryview(packet)) if not hasattr(packet, "encode") else packet.encode()
        if isinstance(octets, str) or not isinstance(octets, bytes):
            raise TypeError(f"{self.name}: a packet is octets or encodes to them, not {type(packet).__name__}")
        try:
            length = packet_length(octets)
        except DecodeError as error:
            raise EncodeError(f"{self.name}: {error}") from None
        if length != len(octets):
            states = "no whole header" if length is None else f"a length of {length}"
            raise EncodeError(f"{self.name}: {len(octets)} octets with {states} are not one packet")
        version = octets[0] >> 5
        if version not in self.valid_packet_versions:
            valid = ", ".join(map(str, sorted(self.valid_packet_versions)))
            raise EncodeError(f"{self.name}: packet version number {version} is not valid here, {valid} is (managed)")
        if length > self.maximum_packet_octets:
            raise EncodeError(
                f"{self.name}: a packet of {length} octets is over {self.maximum_packet_octets}, the most (managed)"
            )
        return octets


class IdlePackets:
    """Idle packets for gaps of any length, of the versions that are valid."""

    def __init__(self, rules: PacketRules) -> None:
        self._space = 0 in rules.valid_packet_versions
        self._encapsulation = PACKET_VERSION_NUMBER in rules.valid_packet_versions
        self._longest = rules.maximum_packet_octets
        self._count = 0

    def fill(self, gap: int) -> list[bytes]:
        """Packets of `gap` octets in all.

        Space packets where they fit, encapsulation packets for the 1 to 6 octets that are too few for one.  Without
        encapsulation packets, the last space packet is up to 6 octets too long: its end belongs into the next zone.
        """
        packets = []
        while gap > 0:
            if self._space and (gap >= space_packet.MINIMUM_OCTETS or not self._encapsulation):
                octets = self._space_octets(gap)
                packets.append(SpacePacket.idle(octets, packet_sequence_count=self._count).encode())
                self._count = (self._count + 1) % _COUNTS
            else:
                octets = min(gap, self._longest)
                packets.append(EncapsulationPacket.idle(octets).encode())
            gap -= octets
        return packets

    def _space_octets(self, gap: int) -> int:
        """Octets of the next space packet: as long as may be, and leaving no rest that is too short if that can be."""
        least = space_packet.MINIMUM_OCTETS
        octets = max(least, min(gap, self._longest, space_packet.MAXIMUM_OCTETS))
        short = least - (gap - octets)
        if not self._encapsulation and 0 < short < least and octets - short >= least:
            octets -= short
        return octets


class PacketZones(Source):
    """Packets end to end, cut into zones, with a pointer to the first packet that starts in each.

    Args: zone_octets: of each zone.  no_packet_start: the pointer of a zone in which none starts.
    """

    def __init__(
        self, rules: PacketRules, queue_octets: int, *, zone_octets: int, no_packet_start: int, wrap: Wrap
    ) -> None:
        super().__init__(rules.name, queue_octets)
        self.zone_octets = zone_octets
        self._no_packet_start = no_packet_start
        self._wrap = wrap
        self._idle = IdlePackets(rules)
        self._octets = bytearray()
        self._begin = 0
        """of self._octets, counted from the first octet ever"""
        self._starts: deque[int] = deque()
        self._ends: deque[tuple[int, int]] = deque()
        self._user_end = 0
        self._idle_end = 0
        """of an idle packet that runs over into the next zone, before all packets that wait"""
        self._flushed_end = 0

    @property
    def pending_octets(self) -> int:
        """Octets of packets that have not gone."""
        return max(0, self._user_end - max(self._begin, self._idle_end))

    def push(self, octets: bytes, unit_id: int) -> None:
        """One more packet.  Raises: QueueFullError."""
        self.require_room(len(octets))
        self._append(octets)
        self._user_end = self._begin + len(self._octets)
        self._ends.append((self._user_end, unit_id))

    def _append(self, packet: bytes) -> None:
        self._starts.append(self._begin + len(self._octets))
        self._octets += packet

    @property
    def waiting(self) -> tuple[bytes, list[int]]:
        """What has not gone, idle data included, and where packets start in it."""
        return bytes(self._octets), [start - self._begin for start in self._starts]

    def advance(self, zones: int, octets: bytes, offsets: NDArray[np.uint64], first_id: int) -> None:
        """So many zones of what waits and of these packets have gone; the rest waits.

        Args: first_id: the identifier of the first packet; the others follow.
        """
        import numpy as np

        waited, gone = len(self._octets), zones * self.zone_octets
        begin, end = int(offsets[0]), int(offsets[-1])
        self._octets += octets[max(begin, min(end, begin + gone - waited)) : end]
        base = self._begin + waited - begin
        del self._octets[: min(gone, waited)]
        self._begin += gone
        while self._starts and self._starts[0] < self._begin:
            self._starts.popleft()
        while self._ends and self._ends[0][0] <= self._begin:
            self._ends.popleft()
        places = offsets.astype(np.int64) + base
        first = int(np.searchsorted(places[:-1], self._begin))
        self._starts.extend(places[first:-1].tolist())
        first = int(np.searchsorted(places[1:], self._begin, side="right"))
        self._ends.extend(
            zip(places[1 + first :].tolist(), range(first_id + first, first_id + len(offsets)), strict=False)
        )
        if len(offsets) > 1:
            self._user_end = int(places[-1])

    def flush(self) -> None:
        """The packets that wait go out with the next frames, idle packets behind them."""
        self._flushed_end = self._user_end

    def is_ready(self, complete: bool) -> bool:
        """Whether there is a zone full, or part of one and it may be completed."""
        if len(self._octets) >= self.zone_octets:
            return True
        return (self._user_end if complete else self._flushed_end) > self._begin

    def take(self, complete: bool) -> Content:
        """The next zone, completed with idle packets where it must be."""
        size, begin = self.zone_octets, self._begin
        for packet in self._idle.fill(size - len(self._octets)):
            self._append(packet)
            self._idle_end = self._begin + len(self._octets)
        zone = bytes(self._octets[:size])
        del self._octets[:size]
        self._begin = end = begin + size
        pointer, starts = self._no_packet_start, self._starts
        if starts and starts[0] < end:
            pointer = starts[0] - begin
            while starts and starts[0] < end:
                starts.popleft()
        units = []
        while self._ends and self._ends[0][0] <= end:
            units.append(self._ends.popleft()[1])
        octets, status = self._wrap(zone, pointer)
        return Content(octets, tuple(units), status)
