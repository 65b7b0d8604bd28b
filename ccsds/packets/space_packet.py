"""Space Packet: codec of the whole packet, and the packets that only fill.  Source: CCSDS 133.0-B-2, section 4.1."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import DecodeError, EncodeError, FieldError, TruncatedError
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "IDLE_APPLICATION_PROCESS_ID",
    "MAXIMUM_OCTETS",
    "MINIMUM_OCTETS",
    "PRIMARY_HEADER",
    "PacketType",
    "SequenceFlags",
    "SpacePacket",
]

DOCUMENT = "CCSDS 133.0-B-2"
PRIMARY_HEADER = Layout(
    "space packet primary header",
    DOCUMENT,
    Field("packet_version_number", 3, "4.1.3.2"),
    Field("packet_type", 1, "4.1.3.3.2"),
    Field("secondary_header_flag", 1, "4.1.3.3.3"),
    Field("application_process_id", 11, "4.1.3.3.4"),
    Field("sequence_flags", 2, "4.1.3.4.2"),
    Field("packet_sequence_count", 14, "4.1.3.4.3"),
    Field("packet_data_length", 16, "4.1.3.5"),  # octets in the packet data field, minus 1
)
UNIT = "space packet"
IDLE_APPLICATION_PROCESS_ID = 0x7FF
MAXIMUM_DATA_OCTETS = 1 << 16
MINIMUM_OCTETS = PRIMARY_HEADER.octets + 1
MAXIMUM_OCTETS = PRIMARY_HEADER.octets + MAXIMUM_DATA_OCTETS


class PacketType(IntEnum):
    """Direction of a packet (4.1.3.3.2)."""

    TELEMETRY = 0
    TELECOMMAND = 1


class SequenceFlags(IntEnum):
    """Place of a packet in a group that one source made (4.1.3.4.2)."""

    CONTINUATION = 0
    FIRST = 1
    LAST = 2
    UNSEGMENTED = 3


_PACKET_TYPES = tuple(PacketType)
_SEQUENCE_FLAGS = tuple(SequenceFlags)


class SpacePacket(Unit, frozen=True, gc=False):  # no cycle can pass through its fields
    """One space packet.  `packet_data_field` holds the secondary header, where there is one, and the user data."""

    ALIASES: ClassVar[dict[str, str]] = {"apid": "application_process_id"}

    application_process_id: int
    packet_data_field: bytes
    packet_type: PacketType = PacketType.TELEMETRY
    secondary_header_flag: int = 0
    sequence_flags: SequenceFlags = SequenceFlags.UNSEGMENTED
    packet_sequence_count: int = 0
    packet_version_number: int = 0

    @property
    def apid(self) -> int:
        """Shorthand for application_process_id."""
        return self.application_process_id

    @property
    def packet_data_length(self) -> int:
        """The length field: octets in the packet data field, minus 1."""
        return len(self.packet_data_field) - 1

    @property
    def is_idle(self) -> bool:
        """True for the APID that carries no data (4.1.3.3.4.4)."""
        return self.application_process_id == IDLE_APPLICATION_PROCESS_ID

    def __len__(self) -> int:
        """Octets of the encoded packet."""
        return PRIMARY_HEADER.octets + len(self.packet_data_field)

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "packet_data_field", self.packet_data_field)
        if not 1 <= len(self.packet_data_field) <= MAXIMUM_DATA_OCTETS:
            raise EncodeError(
                f"{UNIT}: the packet data field has 1 to {MAXIMUM_DATA_OCTETS} octets, "
                f"not {len(self.packet_data_field)} [{DOCUMENT} §4.1.4.1]"
            )
        if self.packet_version_number != 0:
            raise EncodeError(f"{UNIT}: packet_version_number is 0 [{PRIMARY_HEADER.clause('packet_version_number')}]")
        PRIMARY_HEADER.check({name: getattr(self, name) for name in PRIMARY_HEADER.names})
        if self.is_idle and self.secondary_header_flag:
            raise EncodeError(
                f"{UNIT}: an idle packet has no secondary header [{PRIMARY_HEADER.clause('secondary_header_flag')}]"
            )

    @classmethod
    def idle(cls, total_octets: int, *, fill: bytes = b"\xff", packet_sequence_count: int = 0) -> Self:
        """An idle packet of `total_octets` octets, header included, filled with `fill` over and over.

        Raises: EncodeError: fewer octets than 7 (one of data is the least), more than 65542, or no fill.
        """
        require_octets(UNIT, "fill", fill)
        wanted = total_octets - PRIMARY_HEADER.octets
        if not 1 <= wanted <= MAXIMUM_DATA_OCTETS or not fill:
            raise EncodeError(
                f"{UNIT}: an idle packet has {MINIMUM_OCTETS} to {MAXIMUM_OCTETS} octets and at least one octet of "
                f"fill, not {total_octets} and {len(fill)} [{DOCUMENT} §4.1.3.3.4.4]"
            )
        return cls(
            application_process_id=IDLE_APPLICATION_PROCESS_ID,
            packet_data_field=(fill * -(-wanted // len(fill)))[:wanted],
            packet_sequence_count=packet_sequence_count,
        )

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The packet that `octets` are, exactly.

        Raises: TruncatedError: fewer octets than the header or the length field promise.
                FieldError: another packet version, or octets left over.
        """
        version, type_, flag, apid, flags, count, length = _header(octets, 0)
        if length + 7 != len(octets) or version:
            raise _refusal(octets, version, length + 7)
        data = octets[6:] if type(octets) is bytes else bytes(octets[6:])
        return _make(apid, data, _PACKET_TYPES[type_], flag, _SEQUENCE_FLAGS[flags], count, 0)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one packet off the front of `octets`; return it and the octets that follow it."""
        version, type_, flag, apid, flags, count, length = _header(octets, 0)
        end = length + 7
        if end > len(octets) or version:
            raise _refusal(octets, version, end)
        data = octets[6:end] if type(octets) is bytes else bytes(octets[6:end])
        packet = _make(apid, data, _PACKET_TYPES[type_], flag, _SEQUENCE_FLAGS[flags], count, 0)
        return packet, memoryview(octets)[end:]

    def encode(self) -> bytes:
        """The octets of the packet.  Raises EncodeError where a field does not fit."""
        data = self.packet_data_field
        return (
            _pack(
                self.packet_version_number,
                self.packet_type,
                self.secondary_header_flag,
                self.application_process_id,
                self.sequence_flags,
                self.packet_sequence_count,
                len(data) - 1,
            )
            + data
        )

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the packet at the start of `out`; return the octets written.

        Raises: EncodeError: `out` is too short.
        """
        return write_into(UNIT, self.encode(), out)


_make = maker(SpacePacket)
_header = PRIMARY_HEADER.values
_pack = PRIMARY_HEADER.pack_values


def _refusal(octets: Octets, version: int, end: int) -> DecodeError:
    """The error for octets that are not exactly one packet of version 0 (nor begin with one)."""
    if version:
        clause = PRIMARY_HEADER.clause("packet_version_number")
        return FieldError(f"packet version number {version} is not 0", unit=UNIT, octet_offset=0, clause=clause)
    clause = PRIMARY_HEADER.clause("packet_data_length")
    given = len(octets)
    if given < end:
        message = f"length field asks for {end} octets, {given} given"
        return TruncatedError(message, unit=UNIT, octet_offset=4, clause=clause)
    return FieldError(f"{given - end} octets follow the packet", unit=UNIT, octet_offset=end, clause=clause)
