"""What an AOS data field can hold: M_PDU and B_PDU.  Source: CCSDS 732.0-B-5, 4.1.4.2 and 4.1.4.3."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, TruncatedError
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "B_PDU_HEADER",
    "M_PDU_HEADER",
    "M_PDU_HEADER_ISSUE_4",
    "NO_IDLE_DATA",
    "NO_PACKET_START",
    "NO_PACKET_START_ISSUE_4",
    "ONLY_IDLE_BITS",
    "ONLY_IDLE_DATA",
    "ONLY_IDLE_DATA_ISSUE_4",
    "BitstreamProtocolDataUnit",
    "MultiplexingProtocolDataUnit",
    "is_early",
]

DOCUMENT = "CCSDS 732.0-B-5"
M_PDU_HEADER = Layout("M_PDU header", DOCUMENT, Field("first_header_pointer", 16, "4.1.4.2.2"))
M_PDU_HEADER_ISSUE_4 = Layout(
    "M_PDU header, issue 4",
    "CCSDS 732.0-B-4",
    Field("reserved_spare", 5, "4.1.4.2.2"),
    Field("first_header_pointer", 11, "4.1.4.2.3"),
)
B_PDU_HEADER = Layout(
    "B_PDU header",
    DOCUMENT,
    Field("reserved_spare", 2, "4.1.4.3.2"),
    Field("bitstream_data_pointer", 14, "4.1.4.3.3"),
)
NO_PACKET_START: Final = 0xFFFF
"""First header pointer of an M_PDU in which no packet starts (4.1.4.2.2.4); up to issue 4 the same in 11 bits, 2047."""
ONLY_IDLE_DATA: Final = 0xFFFE
"""First header pointer of an M_PDU that holds only idle data (4.1.4.2.2.5); up to issue 4 the same in 11 bits, 2046."""
NO_PACKET_START_ISSUE_4: Final = 0x7FF
ONLY_IDLE_DATA_ISSUE_4: Final = 0x7FE
NO_IDLE_DATA: Final = 0b11111111111111
"""Bitstream data pointer of a B_PDU that is full of user data."""
ONLY_IDLE_BITS: Final = 0b11111111111110
"""Bitstream data pointer of a B_PDU without a single bit of user data."""


class MultiplexingProtocolDataUnit(Unit, frozen=True):
    """M_PDU: a stretch of packets, and where the first that starts in it starts.

    `issue` is that of 732.0-B: issue 5 made the pointer sixteen bits wide, up to issue 4 it has eleven after five
    spare ones; the two special values are all ones, and all ones minus one, of that width.
    """

    ALIASES: ClassVar[dict[str, str]] = {"fhp": "first_header_pointer"}

    first_header_pointer: int
    packet_zone: bytes
    issue: int = 5
    reserved_spare: int = 0

    @property
    def fhp(self) -> int:
        """Shorthand for first_header_pointer."""
        return self.first_header_pointer

    @property
    def is_only_idle_data(self) -> bool:
        """True when the pointer says that the zone holds only idle data."""
        return self.first_header_pointer == (ONLY_IDLE_DATA if self.issue > 4 else ONLY_IDLE_DATA_ISSUE_4)

    @property
    def is_without_packet_start(self) -> bool:
        """True when the pointer says that no packet starts in the zone."""
        return self.first_header_pointer == (NO_PACKET_START if self.issue > 4 else NO_PACKET_START_ISSUE_4)

    def __len__(self) -> int:
        return M_PDU_HEADER.octets + len(self.packet_zone)

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets("M_PDU", "packet_zone", self.packet_zone)
        if is_early(self.issue, EncodeError):
            layout = M_PDU_HEADER_ISSUE_4
        elif self.reserved_spare:
            raise EncodeError(f"M_PDU: issue {self.issue} has no reserved_spare [{DOCUMENT} §4.1.4.2.2]")
        else:
            layout = M_PDU_HEADER
        layout.check({name: getattr(self, name) for name in layout.names})
        pointer, octets = self.first_header_pointer, len(self.packet_zone)
        if not (self.is_only_idle_data or self.is_without_packet_start) and pointer >= octets:
            clause = layout.clause("first_header_pointer")
            raise EncodeError(f"M_PDU: first_header_pointer {pointer} points behind {octets} octets [{clause}]")

    @classmethod
    def decode(cls, octets: Octets, *, issue: int = 5) -> Self:
        """The M_PDU that a whole data field is.  Raises: TruncatedError: no octet of packet zone."""
        spare = 0
        if is_early(issue, ValueError):
            spare, pointer = M_PDU_HEADER_ISSUE_4.values(octets)
        else:
            (pointer,) = M_PDU_HEADER.values(octets)
        return _make_m_pdu(pointer, _zone(octets, M_PDU_HEADER), issue, spare)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets, *, issue: int = 5) -> tuple[Self, memoryview]:
        """The M_PDU, and nothing after it: it takes the whole data field."""
        return cls.decode(octets, issue=issue), memoryview(octets)[len(octets) :]

    @property
    def managed_parameters(self) -> dict[str, int]:
        """The keywords with which `decode` gives this unit back from its octets."""
        return {"issue": self.issue}

    def encode(self) -> bytes:
        """The octets of the data field.  Raises EncodeError where a field does not fit."""
        if self.issue > 4:
            return M_PDU_HEADER.pack_values(self.first_header_pointer) + self.packet_zone
        return M_PDU_HEADER_ISSUE_4.pack_values(self.reserved_spare, self.first_header_pointer) + self.packet_zone

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the M_PDU at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into("M_PDU", self.encode(), out)


class BitstreamProtocolDataUnit(Unit, frozen=True):
    """B_PDU: a stretch of bits, and which of them is the last that a user sent."""

    bitstream_data_pointer: int
    bitstream_data_zone: bytes
    reserved_spare: int = 0

    @property
    def user_bits(self) -> int:
        """Bits of user data at the start of the zone; never more than the zone has, whatever the pointer says."""
        pointer, bits = self.bitstream_data_pointer, 8 * len(self.bitstream_data_zone)
        if pointer == ONLY_IDLE_BITS:
            return 0
        return bits if pointer == NO_IDLE_DATA else min(pointer + 1, bits)

    def __len__(self) -> int:
        return B_PDU_HEADER.octets + len(self.bitstream_data_zone)

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets("B_PDU", "bitstream_data_zone", self.bitstream_data_zone)
        B_PDU_HEADER.check({name: getattr(self, name) for name in B_PDU_HEADER.names})
        pointer, bits = self.bitstream_data_pointer, 8 * len(self.bitstream_data_zone)
        if pointer not in (NO_IDLE_DATA, ONLY_IDLE_BITS) and pointer >= bits:
            clause = B_PDU_HEADER.clause("bitstream_data_pointer")
            raise EncodeError(f"B_PDU: bitstream_data_pointer {pointer} points behind a zone of {bits} bits [{clause}]")

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The B_PDU that a whole data field is.  Raises: TruncatedError: no octet of data zone."""
        spare, pointer = B_PDU_HEADER.values(octets)
        return _make_b_pdu(pointer, _zone(octets, B_PDU_HEADER), spare)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """The B_PDU, and nothing after it: it takes the whole data field."""
        return cls.decode(octets), memoryview(octets)[len(octets) :]

    def encode(self) -> bytes:
        """The octets of the data field.  Raises EncodeError where a field does not fit."""
        return B_PDU_HEADER.pack_values(self.reserved_spare, self.bitstream_data_pointer) + self.bitstream_data_zone

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the B_PDU at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into("B_PDU", self.encode(), out)


_make_m_pdu = maker(MultiplexingProtocolDataUnit)
_make_b_pdu = maker(BitstreamProtocolDataUnit)


def is_early(issue: int, error: type[ValueError]) -> bool:
    """True for an issue of 732.0-B before 5: an eight-bit spacecraft identifier, an eleven-bit first header pointer."""
    if issue not in (1, 2, 3, 4, 5):
        raise error(f"AOS: issue of CCSDS 732.0-B is 1 to 5, not {issue!r}")
    return issue < 5


def _zone(octets: Octets, header: Layout) -> bytes:
    if len(octets) == header.octets:
        clause = f"{DOCUMENT} §4.1.4"
        raise TruncatedError("nothing follows it", unit=header.name, octet_offset=header.octets, clause=clause)
    return bytes(memoryview(octets)[header.octets :])
