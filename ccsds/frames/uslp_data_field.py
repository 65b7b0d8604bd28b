"""What a USLP frame carries: the Transfer Frame Data Field (TFDF).  Source: CCSDS 732.1-B-3, 4.1.4."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, ProtocolError, TruncatedError
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.tc import SegmentSequenceFlags
from ccsds.layout import Field, Layout, Octets
from ccsds.registry import Registry, Row

__all__ = [
    "DATA_FIELD_HEADER",
    "DATA_FIELD_HEADER_WITH_POINTER",
    "IDLE_DATA_PROTOCOL_ID",
    "POINTER_ALL_ONES",
    "USLP_PROTOCOL_IDS",
    "ConstructionRule",
    "UslpTransferFrameDataField",
]

DOCUMENT = "CCSDS 732.1-B-3"
UNIT = "USLP transfer frame data field"
_ALWAYS = (
    Field("construction_rule", 3, "4.1.4.2.2"),
    Field("uslp_protocol_id", 5, "4.1.4.2.3"),
)
DATA_FIELD_HEADER = Layout("USLP transfer frame data field header", DOCUMENT, *_ALWAYS)
DATA_FIELD_HEADER_WITH_POINTER = Layout(
    "USLP transfer frame data field header with pointer",
    DOCUMENT,
    *_ALWAYS,
    Field("first_header_or_last_valid_octet_pointer", 16, "4.1.4.2.4"),
)
POINTER_ALL_ONES: Final = 0xFFFF
"""Rule 000: no packet starts here (4.1.4.2.4.4).  Rules 001, 010: the unit goes on in the next frame (4.1.4.2.4.6)."""
IDLE_DATA_PROTOCOL_ID: Final = 31

USLP_PROTOCOL_IDS: Final = Registry(
    "uslp_protocol_id",
    bits=5,
    source="SANA, USLP Protocol Identifier; CCSDS 732.1-B-3",
    rows=(
        Row(0, "SPACE_PACKETS_OR_ENCAPSULATION_PACKETS"),
        Row(1, "COP_1_CONTROL_COMMANDS"),
        Row(2, "COP_P_CONTROL_COMMANDS"),
        Row(3, "SDLS_CONTROL_COMMANDS"),
        Row(4, "USER_DEFINED_OCTET_STREAM"),
        Row(5, "MISSION_SPECIFIC_INFORMATION_1"),
        Row(6, "PROXIMITY_1_PSEUDO_PACKET_ID_1"),
        Row(7, "PROXIMITY_1_SUPERVISORY_PROTOCOL_DATA_UNITS"),
        Row(8, "PROXIMITY_1_PSEUDO_PACKET_ID_2"),
        Row(31, "IDLE_DATA"),
    ),
)


class ConstructionRule(IntEnum):
    """How the data zone was built (4.1.4.2.2, table 4-3).  The first three are for frames of fixed length."""

    PACKETS_SPANNING_FRAMES = 0b000
    START_OF_ACCESS_UNIT = 0b001
    CONTINUING_ACCESS_UNIT = 0b010
    OCTET_STREAM = 0b011
    STARTING_SEGMENT = 0b100
    CONTINUING_SEGMENT = 0b101
    LAST_SEGMENT = 0b110
    NO_SEGMENTATION = 0b111


_RULES = tuple(ConstructionRule)
_LAST_RULE_WITH_POINTER = ConstructionRule.CONTINUING_ACCESS_UNIT
_PORTIONS = {
    ConstructionRule.STARTING_SEGMENT: SegmentSequenceFlags.FIRST,
    ConstructionRule.CONTINUING_SEGMENT: SegmentSequenceFlags.CONTINUING,
    ConstructionRule.LAST_SEGMENT: SegmentSequenceFlags.LAST,
    ConstructionRule.NO_SEGMENTATION: SegmentSequenceFlags.UNSEGMENTED,
}


class UslpTransferFrameDataField(Unit, frozen=True):
    """One data field: how its zone was built, for which protocol, and the zone.

    `first_header_or_last_valid_octet_pointer` is there under rules 000, 001 and 010, and None under the others.
    """

    ALIASES: ClassVar[dict[str, str]] = {"upid": "uslp_protocol_id"}

    construction_rule: ConstructionRule
    uslp_protocol_id: int
    transfer_frame_data_zone: bytes
    first_header_or_last_valid_octet_pointer: int | None = None

    @property
    def upid(self) -> int:
        """Shorthand for uslp_protocol_id."""
        return self.uslp_protocol_id

    @property
    def is_of_fixed_length(self) -> bool:
        """True under the rules for frames of fixed length, which have a pointer."""
        return self.construction_rule <= _LAST_RULE_WITH_POINTER

    @property
    def is_only_idle_data(self) -> bool:
        """True where the protocol is that of idle data."""
        return self.uslp_protocol_id == IDLE_DATA_PROTOCOL_ID

    @property
    def protocol_name(self) -> str | None:
        """Name of the protocol in the SANA registry; None where it has none."""
        return USLP_PROTOCOL_IDS.name_of(self.uslp_protocol_id)

    @property
    def first_header_pointer(self) -> int | None:
        """Where the first packet that starts in the zone starts; None under rules other than 000."""
        is_one = self.construction_rule == ConstructionRule.PACKETS_SPANNING_FRAMES
        return self.first_header_or_last_valid_octet_pointer if is_one else None

    @property
    def last_valid_octet_pointer(self) -> int | None:
        """The last octet of the zone that belongs to the unit; None under rules other than 001 and 010."""
        is_one = self.construction_rule != ConstructionRule.PACKETS_SPANNING_FRAMES
        return self.first_header_or_last_valid_octet_pointer if is_one else None

    @property
    def valid_octets(self) -> bytes:
        """The zone without the idle data behind the last valid octet; never more than the zone has."""
        pointer = self.last_valid_octet_pointer
        if pointer is None or pointer == POINTER_ALL_ONES:
            return self.transfer_frame_data_zone
        return self.transfer_frame_data_zone[: pointer + 1]

    @property
    def portion(self) -> tuple[SegmentSequenceFlags, bytes]:
        """Which portion of a MAP packet, MAPA_SDU or VCA_SDU this is, and its octets.

        Raises: ProtocolError: rule 000 (packets have a pointer of their own) or 011 (a stream has no units).
        """
        rule = self.construction_rule
        if rule in _PORTIONS:
            return _PORTIONS[rule], self.transfer_frame_data_zone
        goes_on = self.last_valid_octet_pointer == POINTER_ALL_ONES
        if rule == ConstructionRule.START_OF_ACCESS_UNIT:
            return SegmentSequenceFlags.FIRST if goes_on else SegmentSequenceFlags.UNSEGMENTED, self.valid_octets
        if rule == ConstructionRule.CONTINUING_ACCESS_UNIT:
            return SegmentSequenceFlags.CONTINUING if goes_on else SegmentSequenceFlags.LAST, self.valid_octets
        raise ProtocolError(
            f"{UNIT}: rule {rule:03b} does not segment [{DATA_FIELD_HEADER.clause('construction_rule')}]"
        )

    def __len__(self) -> int:
        header = DATA_FIELD_HEADER_WITH_POINTER if self.is_of_fixed_length else DATA_FIELD_HEADER
        return header.octets + len(self.transfer_frame_data_zone)

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "transfer_frame_data_zone", self.transfer_frame_data_zone)
        DATA_FIELD_HEADER.check({name: getattr(self, name) for name in DATA_FIELD_HEADER.names})
        pointer, octets = self.first_header_or_last_valid_octet_pointer, len(self.transfer_frame_data_zone)
        if not octets:
            raise EncodeError(f"{UNIT}: a data zone has at least one octet [{DOCUMENT} §4.1.4]")
        name = "first_header_or_last_valid_octet_pointer"
        clause = DATA_FIELD_HEADER_WITH_POINTER.clause(name)
        if (pointer is not None) != self.is_of_fixed_length:
            needs = "needs a" if self.is_of_fixed_length else "has no"
            raise EncodeError(f"{UNIT}: rule {self.construction_rule:03b} {needs} {name} [{clause}]")
        if pointer is None:
            return
        DATA_FIELD_HEADER_WITH_POINTER.check({name: pointer})
        if pointer != POINTER_ALL_ONES and pointer >= octets:
            raise EncodeError(f"{UNIT}: {name} {pointer} points behind {octets} octets [{clause}]")

    @classmethod
    def only_idle_data(cls, *, zone_octets: int, fill: OnlyIdleDataFill) -> Self:
        """The data field of an Only Idle Data frame (4.1.4.1.6): one whole unit of idle data."""
        return cls(
            construction_rule=ConstructionRule.START_OF_ACCESS_UNIT,
            uslp_protocol_id=IDLE_DATA_PROTOCOL_ID,
            transfer_frame_data_zone=fill.take(zone_octets),
            first_header_or_last_valid_octet_pointer=zone_octets - 1,
        )

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The data field that `octets` are: all of them.

        Raises: TruncatedError: no room for the header that the rule asks for and one octet of data.
        """
        rule, protocol = DATA_FIELD_HEADER.values(octets)
        pointer = None
        begin = DATA_FIELD_HEADER.octets
        if rule <= _LAST_RULE_WITH_POINTER:
            pointer = DATA_FIELD_HEADER_WITH_POINTER.values(octets)[-1]
            begin = DATA_FIELD_HEADER_WITH_POINTER.octets
        if len(octets) <= begin:
            message = f"no data zone follows a header of {begin} octets"
            raise TruncatedError(message, unit=UNIT, octet_offset=begin, clause=f"{DOCUMENT} §4.1.4")
        return _make(_RULES[rule], protocol, bytes(memoryview(octets)[begin:]), pointer)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """The data field, and nothing after it: it takes all that there is."""
        return cls.decode(octets), memoryview(octets)[len(octets) :]

    def encode(self) -> bytes:
        """The octets of the data field.  Raises EncodeError where a field does not fit."""
        start = (self.construction_rule, self.uslp_protocol_id)
        pointer = self.first_header_or_last_valid_octet_pointer
        if pointer is None:
            return DATA_FIELD_HEADER.pack_values(*start) + self.transfer_frame_data_zone
        return DATA_FIELD_HEADER_WITH_POINTER.pack_values(*start, pointer) + self.transfer_frame_data_zone

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the data field at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(UNIT, self.encode(), out)


_make = maker(UslpTransferFrameDataField)
