"""Encapsulation Packet: codec of the whole packet, headers of 1, 2, 4 and 8 octets.  Source: CCSDS 133.1-B-3, 4.1."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

import msgspec

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError, TruncatedError
from ccsds.layout import Field, Layout, Octets
from ccsds.registry import Registry, Row

__all__ = [
    "ENCAPSULATION_PROTOCOL_IDS",
    "EXTENSION_PROTOCOL_ID",
    "HEADERS",
    "IDLE_PROTOCOL_ID",
    "PACKET_VERSION_NUMBER",
    "EncapsulationPacket",
    "shortest_length_of_length",
]

DOCUMENT = "CCSDS 133.1-B-3"
UNIT = "encapsulation packet"
PACKET_VERSION_NUMBER = 0b111
IDLE_PROTOCOL_ID = 0
EXTENSION_PROTOCOL_ID = 6

_FIRST_OCTET = (
    Field("packet_version_number", 3, "4.1.2.2"),
    Field("encapsulation_protocol_id", 3, "4.1.2.3"),
    Field("length_of_length", 2, "4.1.2.4"),
)
_USER_AND_EXTENSION = (
    Field("user_defined_field", 4, "4.1.2.5"),
    Field("encapsulation_protocol_id_extension", 4, "4.1.2.6"),
)


def _header(*fields: Field) -> Layout:
    octets = sum(field.bits for field in _FIRST_OCTET + fields) // 8
    name = f"encapsulation packet header of {octets} octet{'s' * (octets > 1)}"
    return Layout(name, DOCUMENT, *_FIRST_OCTET, *fields)


HEADER_OF_1_OCTET = _header()
HEADER_OF_2_OCTETS = _header(Field("packet_length", 8, "4.1.2.8"))
HEADER_OF_4_OCTETS = _header(*_USER_AND_EXTENSION, Field("packet_length", 16, "4.1.2.8"))
HEADER_OF_8_OCTETS = _header(
    *_USER_AND_EXTENSION, Field("ccsds_defined_field", 16, "4.1.2.7"), Field("packet_length", 32, "4.1.2.8")
)
HEADERS: Final = (HEADER_OF_1_OCTET, HEADER_OF_2_OCTETS, HEADER_OF_4_OCTETS, HEADER_OF_8_OCTETS)
"""The four headers, by the value of the length of length field.  The packet length counts the header too."""

ENCAPSULATION_PROTOCOL_IDS: Final = Registry(
    "encapsulation_protocol_id",
    bits=3,
    source="SANA, Encapsulation Protocol Identifier; CCSDS 133.1-B-3",
    rows=(
        Row(0, "IDLE"),
        Row(1, "LTP"),
        Row(2, "INTERNET_PROTOCOL_EXTENSION"),
        Row(3, "CFDP"),
        Row(4, "BUNDLE_PROTOCOL"),
        Row(6, "EXTENSION"),
        Row(7, "MISSION_SPECIFIC"),
    ),
)


class EncapsulationPacket(Unit, frozen=True):
    """One encapsulation packet.  `length_of_length` chooses the header; left out, it is the shortest that holds all."""

    ALIASES: ClassVar[dict[str, str]] = {"protocol_id": "encapsulation_protocol_id"}

    encapsulation_protocol_id: int
    encapsulated_data_field: bytes = b""
    user_defined_field: int = 0
    encapsulation_protocol_id_extension: int = 0
    ccsds_defined_field: int = 0
    length_of_length: int = -1
    packet_version_number: int = PACKET_VERSION_NUMBER

    @property
    def protocol_id(self) -> int:
        """Shorthand for encapsulation_protocol_id."""
        return self.encapsulation_protocol_id

    @property
    def packet_length(self) -> int:
        """Octets of the encoded packet, header included: the value of the length field, where there is one."""
        return HEADERS[self.length_of_length].octets + len(self.encapsulated_data_field)

    @property
    def is_idle(self) -> bool:
        """True for the protocol that carries no data."""
        return self.encapsulation_protocol_id == IDLE_PROTOCOL_ID

    @property
    def protocol_name(self) -> str | None:
        """Name of the protocol in the SANA registry; None where it has none."""
        return ENCAPSULATION_PROTOCOL_IDS.name_of(self.encapsulation_protocol_id)

    def __len__(self) -> int:
        return self.packet_length

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it; choose the header if nobody did."""
        require_octets(UNIT, "encapsulated_data_field", self.encapsulated_data_field)
        if self.length_of_length == -1:
            msgspec.structs.force_setattr(self, "length_of_length", self._shortest_header())
        if self.length_of_length not in (0, 1, 2, 3):
            raise EncodeError(f"{UNIT}: length_of_length is 0 to 3, not {self.length_of_length} [{_clause(2)}]")
        header = HEADERS[self.length_of_length]
        if self.packet_version_number != PACKET_VERSION_NUMBER:
            raise EncodeError(f"{UNIT}: packet_version_number is {PACKET_VERSION_NUMBER} [{_clause(0)}]")
        header.check({name: getattr(self, name) for name in header.names})
        for field in HEADERS[3].fields:
            if field.name not in header.names and field.name != "packet_length" and getattr(self, field.name):
                raise EncodeError(
                    f"{UNIT}: a header of {header.octets} octets has no {field.name} [{HEADERS[3].clause(field.name)}]"
                )
        if self.length_of_length == 0 and (not self.is_idle or self.encapsulated_data_field):
            raise EncodeError(f"{UNIT}: a header of one octet is for an idle packet of one octet [{_clause(2)}]")
        if self.encapsulation_protocol_id == EXTENSION_PROTOCOL_ID and self.length_of_length < 2:
            raise EncodeError(
                f"{UNIT}: protocol id 6 needs a header of 4 or 8 octets, for the extension [{_clause(1)}]"
            )

    def _shortest_header(self) -> int:
        if self.ccsds_defined_field:
            return 3
        extended = self.user_defined_field or self.encapsulation_protocol_id_extension
        extended = extended or self.encapsulation_protocol_id == EXTENSION_PROTOCOL_ID
        least = 2 if extended else 0 if self.is_idle else 1
        return shortest_length_of_length(len(self.encapsulated_data_field), least)

    @classmethod
    def idle(cls, total_octets: int, *, fill: bytes = b"\xff") -> Self:
        """An idle packet of `total_octets` octets, 1 or more, header included, filled with `fill` over and over.

        Raises: EncodeError: no octets, more than 4294967295, or no fill.
        """
        require_octets(UNIT, "fill", fill)
        if not 1 <= total_octets < 1 << 32 or not fill:
            raise EncodeError(
                f"{UNIT}: an idle packet has 1 to {(1 << 32) - 1} octets and at least one octet of fill, "
                f"not {total_octets} and {len(fill)} [{_clause(1)}]"
            )
        choice = 0 if total_octets == 1 else 1 if total_octets < 1 << 8 else 2 if total_octets < 1 << 16 else 3
        wanted = total_octets - HEADERS[choice].octets
        return cls(
            encapsulation_protocol_id=IDLE_PROTOCOL_ID,
            encapsulated_data_field=(fill * -(-wanted // len(fill)))[:wanted],
            length_of_length=choice,
        )

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The packet that `octets` are, exactly.

        Raises: TruncatedError: fewer octets than the header or the length field promise.
                FieldError: another packet version, a header of one octet on a packet that is not idle,
                a length smaller than the header, or octets left over.
        """
        packet, end = _cut(octets)
        if end != len(octets):
            raise FieldError(
                f"{len(octets) - end} octets follow the packet", unit=UNIT, octet_offset=end, clause=_clause(-1)
            )
        return packet  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one packet off the front of `octets`; return it and the octets that follow it."""
        packet, end = _cut(octets)
        return packet, memoryview(octets)[end:]

    def encode(self) -> bytes:
        """The octets of the packet.  Raises EncodeError where a field does not fit."""
        header = HEADERS[self.length_of_length]
        return header.pack({name: getattr(self, name) for name in header.names}) + self.encapsulated_data_field

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the packet at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(UNIT, self.encode(), out)


_make = maker(EncapsulationPacket)


def shortest_length_of_length(data_octets: int, least: int = 1) -> int:
    """The smallest length of length field, from `least` on, whose header can state `data_octets` octets of data.

    Raises: EncodeError: more octets than any length field can state.
    """
    for choice in range(least, 4):
        header = HEADERS[choice]
        limit = header["packet_length"].maximum if choice else 1
        if header.octets + data_octets <= limit:
            return choice
    raise EncodeError(f"{UNIT}: {data_octets} octets are more than a packet can hold [{_clause(-1)}]")


def _clause(index: int) -> str:
    return f"{DOCUMENT} §{HEADERS[3].fields[index].clause}"


def _cut(octets: Octets) -> tuple[Any, int]:
    """The packet at the start of `octets`, and where it ends."""
    version, protocol, choice = HEADERS[0].values(octets)
    if version != PACKET_VERSION_NUMBER:
        raise FieldError(f"packet version number {version} is not 7", unit=UNIT, octet_offset=0, clause=_clause(0))
    if choice == 0:
        if protocol != IDLE_PROTOCOL_ID:
            message = f"protocol id {protocol} needs a length field, and the header has none"
            raise FieldError(message, unit=UNIT, octet_offset=0, clause=_clause(2))
        return _make(protocol, b"", 0, 0, 0, 0, version), 1
    header = HEADERS[choice]
    values = header.values(octets)
    end = values[-1]
    length_at = header.bit_offset("packet_length") // 8
    if end < header.octets:
        message = f"packet length {end} is less than the {header.octets} octets of the header"
        raise FieldError(message, unit=UNIT, octet_offset=length_at, clause=_clause(-1))
    if end > len(octets):
        message = f"length field asks for {end} octets, {len(octets)} given"
        raise TruncatedError(message, unit=UNIT, octet_offset=length_at, clause=_clause(-1))
    user, extension = values[3:5] if choice > 1 else (0, 0)
    ccsds_defined = values[5] if choice == 3 else 0
    data = bytes(memoryview(octets)[header.octets : end])
    return _make(protocol, data, user, extension, ccsds_defined, choice, version), end
