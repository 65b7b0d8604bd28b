"""Service access points: what a user holds to send through.

Each `send` returns the identifier of its unit, which `SentFrame.units` and, under COP-1, notifications name again.
Where the queue has no room it raises QueueFullError and takes nothing.
"""

from __future__ import annotations

from typing import Any

from ccsds.errors import EncodeError
from ccsds.layout import Octets
from ccsds.link.sending.channel import Link, WholeFrames
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.segments import Segments
from ccsds.link.sending.source import Source
from ccsds.link.sending.units import AccessZones, Bitstream, FixedUnits, OctetStream

__all__ = [
    "AccessPoint",
    "AccessService",
    "BitstreamService",
    "FrameService",
    "OctetStreamService",
    "PacketService",
    "TruncatedFrameService",
]


class AccessPoint:
    """What all access points have."""

    def __init__(self, link: Link, source: Source) -> None:
        self._link = link
        self._source = source

    @property
    def pending_octets(self) -> int:
        """Octets that have not gone into frames."""
        return self._source.pending_octets

    def flush(self) -> None:
        """What waits goes out with the next frames, full or not."""
        self._source.flush()

    def __repr__(self) -> str:
        return f"<{self._source.name}: {self.pending_octets} octets wait>"


class PacketService(AccessPoint):
    """Packets of a virtual channel or MAP."""

    _source: PacketZones | Segments

    def __init__(self, link: Link, source: Source, rules: PacketRules) -> None:
        super().__init__(link, source)
        self._rules = rules

    def send(self, packet: Any) -> int:
        """One packet: octets, or an object that encodes to them (SpacePacket, EncapsulationPacket, a PUS packet).

        Raises: EncodeError: not one packet of a version and length that are valid here.  QueueFullError.
        """
        octets = self._rules.octets(packet)
        unit_id = self._link.new_unit_id()
        self._source.push(octets, unit_id)
        return unit_id


class AccessService(AccessPoint):
    """Data units of the user's own make (VCA, MAPA)."""

    _source: FixedUnits | Segments | AccessZones

    @property
    def unit_octets(self) -> int | None:
        """Octets that each unit has, of TM and AOS; None where units have any length."""
        return self._source.unit_octets if isinstance(self._source, FixedUnits) else None

    def send(
        self,
        octets: Octets,
        *,
        packet_order_flag: int = 0,
        segment_length_id: int = 0,
        first_header_pointer: int = 0,
    ) -> int:
        """One data unit.  The three status fields are of TM only; what they mean is the user's affair (132.0-B-3 3.4).

        Raises: EncodeError: a length or status that cannot be.  QueueFullError.
        """
        unit, unit_id = bytes(memoryview(octets)), self._link.new_unit_id()
        status = (packet_order_flag, segment_length_id, first_header_pointer)
        if isinstance(self._source, FixedUnits):
            for value, most in zip(status, (1, 3, 0x7FF), strict=True):
                if not isinstance(value, int) or not 0 <= value <= most:
                    raise EncodeError(f"{self._source.name}: status {status} does not fit into 1, 2 and 11 bits")
            self._source.push_unit(unit, unit_id, (1, *status))
        elif any(status):
            raise EncodeError(f"{self._source.name}: status fields are of TM frames only")
        else:
            self._source.push(unit, unit_id)
        return unit_id


class TruncatedFrameService(AccessPoint):
    """Units that each make one truncated USLP frame."""

    _source: FixedUnits

    @property
    def unit_octets(self) -> int:
        """Octets that each unit has."""
        return self._source.unit_octets

    def send(self, octets: Any) -> int:
        """One unit: octets, or an object that encodes.  Raises: EncodeError: another length.  QueueFullError."""
        unit = octets.encode() if hasattr(octets, "encode") else bytes(memoryview(octets))
        unit_id = self._link.new_unit_id()
        self._source.push_unit(unit, unit_id, (0, 0, 3, 0))
        return unit_id


class BitstreamService(AccessPoint):
    """A bitstream (AOS)."""

    _source: Bitstream

    def send(self, octets: Octets, bits: int | None = None) -> int:
        """The first `bits` bits of `octets`, most significant first; all of them where nothing is said.

        Raises: EncodeError: no bits, or more than there are.  QueueFullError.
        """
        data, unit_id = bytes(memoryview(octets)), self._link.new_unit_id()
        self._source.push(data, 8 * len(data) if bits is None else bits, unit_id)
        return unit_id


class OctetStreamService(AccessPoint):
    """A stream of octets (USLP)."""

    _source: OctetStream

    def send(self, octets: Octets) -> int:
        """The next octets.  Raises: EncodeError: none.  QueueFullError."""
        unit_id = self._link.new_unit_id()
        self._source.push(bytes(memoryview(octets)), unit_id)
        return unit_id


class FrameService(AccessPoint):
    """Transfer frames made elsewhere, of a virtual channel or of a whole master channel.

    What belongs to the channels above is put in: insert zone and error control; of VC frames of TM also the master
    channel frame count, and secondary header and OCF where they are the master channel's.
    """

    _source: WholeFrames

    def send(self, frame: Any) -> int:
        """One frame: octets, or an object that encodes to them.

        Raises: EncodeError: no frame of this channel.  QueueFullError.
        """
        octets = frame.encode() if hasattr(frame, "encode") else bytes(memoryview(frame))
        unit_id = self._link.new_unit_id()
        self._source.push(octets, unit_id)
        return unit_id
