"""IP over CCSDS: the IPE header, and datagrams behind it in Encapsulation Packets.  Source: CCSDS 702.1-B-1, 2."""

from __future__ import annotations

from typing import Any, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError, TruncatedError
from ccsds.layout import Field, Layout, Octets
from ccsds.packets.encapsulation_packet import DOCUMENT as ENCAPSULATION_DOCUMENT
from ccsds.packets.encapsulation_packet import ENCAPSULATION_PROTOCOL_IDS, EncapsulationPacket
from ccsds.registry import Registry, Row

__all__ = ["EXTENSION_OCTET", "INTERNET_PROTOCOL_EXTENSIONS", "InternetProtocolExtension"]

DOCUMENT = "CCSDS 702.1-B-1"
UNIT = "IP over CCSDS data unit"
EXTENSION_OCTET = Layout(
    "octet of the IPE header",
    DOCUMENT,
    Field("internet_protocol_extension", 7, "2.4"),
    Field("last_octet_flag", 1, "2.4"),  # 0: another octet follows
)
INTERNET_PROTOCOL_EXTENSIONS: Final = Registry(
    "internet_protocol_extension",
    bits=8,
    source="SANA, Internet Protocol Extension Header, as implemented in nasa/channel-emulator; CCSDS 702.1-B-1",
    rows=(
        Row(33, "IPV4_DATAGRAM"),
        Row(35, "IP_HEADER_COMPRESSION_CONTROL"),
        Row(87, "IPV6_DATAGRAM"),
        Row(97, "FULL_HEADER"),
        Row(99, "COMPRESSED_TCP"),
        Row(101, "COMPRESSED_TCP_NO_DELTA"),
        Row(103, "COMPRESSED_NON_TCP"),
        Row(105, "COMPRESSED_RTP_8"),
        Row(107, "COMPRESSED_RTP_16"),
        Row(109, "COMPRESSED_UDP_8"),
        Row(111, "COMPRESSED_UDP_16"),
        Row(113, "CONTEXT_STATE"),
    ),
)
"""Values are whole octets as they are sent, the flag in them included."""
_PROTOCOL_ID = ENCAPSULATION_PROTOCOL_IDS.value_of("INTERNET_PROTOCOL_EXTENSION")
_NAMES_BY_VERSION = {4: "IPV4_DATAGRAM", 6: "IPV6_DATAGRAM"}


class InternetProtocolExtension(Unit, frozen=True):
    """What an encapsulation packet of protocol 2 carries: the IPE header, and the protocol data unit it announces.

    `extension_header` are its octets as they are sent: the least significant bit is 1 in the last one, and 0 before.
    """

    extension_header: bytes
    protocol_data_unit: bytes

    @property
    def protocol_name(self) -> str | None:
        """Name of the extension in the SANA registry; None where it has none."""
        header = self.extension_header
        return INTERNET_PROTOCOL_EXTENSIONS.name_of(header[0]) if len(header) == 1 else None

    def __len__(self) -> int:
        return len(self.extension_header) + len(self.protocol_data_unit)

    def check(self) -> None:
        """Raise EncodeError where the header does not end with its last octet, or nothing follows it."""
        require_octets(UNIT, "extension_header", self.extension_header)
        require_octets(UNIT, "protocol_data_unit", self.protocol_data_unit)
        flags = [octet & 1 for octet in self.extension_header]
        if sum(flags) != 1 or not flags[-1]:
            raise EncodeError(
                f"{UNIT}: extension_header {self.extension_header.hex() or 'without octets'} does not have its only "
                f"odd octet at its end [{EXTENSION_OCTET.clause('last_octet_flag')}]"
            )
        if not self.protocol_data_unit:
            raise EncodeError(f"{UNIT}: no protocol data unit [{DOCUMENT} §2.4]")

    @classmethod
    def of_datagram(cls, datagram: bytes) -> Self:
        """A datagram of IP version 4 or 6 behind the header that says so.  Raises EncodeError: another version."""
        require_octets(UNIT, "datagram", datagram)
        version = datagram[0] >> 4 if datagram else None
        if version not in _NAMES_BY_VERSION:
            raise EncodeError(f"{UNIT}: IP version {version} is not 4 or 6 [{DOCUMENT} §2.4]")
        value = INTERNET_PROTOCOL_EXTENSIONS.value_of(_NAMES_BY_VERSION[version])
        return cls(extension_header=bytes([value]), protocol_data_unit=datagram)

    @classmethod
    def from_packet(cls, packet: EncapsulationPacket) -> Self:
        """What an encapsulation packet carries.  Raises FieldError: another protocol; else as `decode`."""
        protocol = packet.encapsulation_protocol_id
        if protocol != _PROTOCOL_ID:
            clause = f"{ENCAPSULATION_DOCUMENT} §4.1.2.3"
            message = f"encapsulation protocol id {protocol} is not {_PROTOCOL_ID}"
            raise FieldError(message, unit=UNIT, octet_offset=0, clause=clause)
        return cls.decode(packet.encapsulated_data_field)

    def to_packet(self, **fields: Any) -> EncapsulationPacket:
        """The encapsulation packet that carries it; `fields` are others of the packet (length_of_length, ...)."""
        return EncapsulationPacket(
            encapsulation_protocol_id=_PROTOCOL_ID, encapsulated_data_field=self.encode(), **fields
        )

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The unit that a whole data field is.

        Raises: TruncatedError: the header does not end, or nothing follows it.
        """
        view = memoryview(octets)
        end = next((at for at, octet in enumerate(view, 1) if octet & 1), None)
        if end is None or end == len(view):
            message = "the header does not end" if end is None else "nothing follows the header"
            clause = EXTENSION_OCTET.clause("last_octet_flag")
            raise TruncatedError(message, unit=UNIT, octet_offset=len(view), clause=clause)
        return _make(bytes(view[:end]), bytes(view[end:]))  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """The unit, and nothing after it: it takes all that there is."""
        return cls.decode(octets), memoryview(octets)[len(octets) :]

    def encode(self) -> bytes:
        """The octets of the data field."""
        return self.extension_header + self.protocol_data_unit

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the unit at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(UNIT, self.encode(), out)


_make = maker(InternetProtocolExtension)
