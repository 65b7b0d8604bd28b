"""Operational Control Field: the CLCW, and reports of type 2.  Source: CCSDS 232.0-B-4, 4.2; 132.0-B-3, 4.1.5."""

from __future__ import annotations

from typing import ClassVar, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "CLCW",
    "OCTETS",
    "Clcw",
    "Type2Report",
    "decode_operational_control_field",
    "require_operational_control_field",
]

DOCUMENT = "CCSDS 232.0-B-4"
UNIT = "CLCW"
OCTETS: Final = 4
CLCW = Layout(
    UNIT,
    DOCUMENT,
    Field("control_word_type", 1, "4.2.1.2"),
    Field("clcw_version_number", 2, "4.2.1.3"),
    Field("status_field", 3, "4.2.1.4"),
    Field("cop_in_effect", 2, "4.2.1.5"),
    Field("virtual_channel_id", 6, "4.2.1.6"),
    Field("reserved_spare_1", 2, "4.2.1.7"),
    Field("no_rf_available_flag", 1, "4.2.1.8.2"),
    Field("no_bit_lock_flag", 1, "4.2.1.8.3"),
    Field("lockout_flag", 1, "4.2.1.8.4"),
    Field("wait_flag", 1, "4.2.1.8.5"),
    Field("retransmit_flag", 1, "4.2.1.8.6"),
    Field("farm_b_counter", 2, "4.2.1.9"),
    Field("reserved_spare_2", 1, "4.2.1.10"),
    Field("report_value", 8, "4.2.1.11"),
)


class Clcw(Unit, frozen=True):
    """Communications Link Control Word: what the receiving end of COP-1 reports.

    An all-zero field reads as a CLCW with no COP in effect: whether there is one at all is agreed beforehand.
    """

    ALIASES: ClassVar[dict[str, str]] = {"vcid": "virtual_channel_id"}

    virtual_channel_id: int
    report_value: int
    cop_in_effect: int = 1
    status_field: int = 0
    no_rf_available_flag: int = 0
    no_bit_lock_flag: int = 0
    lockout_flag: int = 0
    wait_flag: int = 0
    retransmit_flag: int = 0
    farm_b_counter: int = 0
    reserved_spare_1: int = 0
    reserved_spare_2: int = 0
    clcw_version_number: int = 0

    @property
    def vcid(self) -> int:
        """Shorthand for virtual_channel_id."""
        return self.virtual_channel_id

    @property
    def control_word_type(self) -> int:
        """0, always: 1 is a report of type 2."""
        return 0

    def __len__(self) -> int:
        return OCTETS

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        if self.clcw_version_number != 0:
            raise EncodeError(f"{UNIT}: clcw_version_number is 0 [{CLCW.clause('clcw_version_number')}]")
        CLCW.check({name: getattr(self, name) for name in CLCW.names})

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The CLCW that these four octets are.  Spare bits and status are kept as they are.

        Raises: TruncatedError, FieldError: not four octets, a report of type 2, another version.
        """
        values = CLCW.unpack(octets)
        if len(octets) != OCTETS:
            raise _trailing(len(octets))
        if values.pop("control_word_type"):
            clause = CLCW.clause("control_word_type")
            raise FieldError("control word type 1 is no CLCW", unit=UNIT, octet_offset=0, clause=clause)
        if values["clcw_version_number"]:
            message = f"CLCW version number {values['clcw_version_number']} is not 0"
            raise FieldError(message, unit=UNIT, octet_offset=0, clause=CLCW.clause("clcw_version_number"))
        return _make_clcw(*[values[name] for name in cls.__struct_fields__])  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one CLCW off the front of `octets`; return it and the octets that follow it."""
        view = memoryview(octets)
        return cls.decode(view[:OCTETS]), view[OCTETS:]

    def encode(self) -> bytes:
        """The four octets.  Raises EncodeError where a field does not fit."""
        return CLCW.pack({name: getattr(self, name) for name in CLCW.names})

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the four octets at the start of `out`; return 4.  Raises EncodeError: `out` is too short."""
        return write_into(UNIT, self.encode(), out)


class Type2Report(Unit, frozen=True):
    """A report of type 2, kept as its four octets: its first bit is 1, the second tells whose it is."""

    report: bytes

    @property
    def control_word_type(self) -> int:
        """1, always: 0 is a CLCW."""
        return 1

    @property
    def is_project_specific(self) -> bool:
        """True when a project defines the contents; else CCSDS does (SDLS has its Frame Security Report there)."""
        return not self.report[0] & 0x40

    def __len__(self) -> int:
        return OCTETS

    def check(self) -> None:
        """Raise EncodeError unless the report is four octets that begin with a 1."""
        require_operational_control_field("type-2 report", self.report)
        if not self.report[0] & 0x80:
            raise EncodeError("type-2 report: the first bit is 1; 0 is a CLCW [CCSDS 132.0-B-3 §4.1.5.2]")

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The report that these four octets are.  Raises: TruncatedError, FieldError: not four octets, or a CLCW."""
        if CLCW.values(octets)[0] == 0:
            clause = CLCW.clause("control_word_type")
            raise FieldError("control word type 0 is a CLCW", unit="type-2 report", octet_offset=0, clause=clause)
        if len(octets) != OCTETS:
            raise _trailing(len(octets))
        return _make_report(bytes(octets))  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one report off the front of `octets`; return it and the octets that follow it."""
        view = memoryview(octets)
        return cls.decode(view[:OCTETS]), view[OCTETS:]

    def encode(self) -> bytes:
        """The four octets."""
        return self.report

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the four octets at the start of `out`; return 4.  Raises EncodeError: `out` is too short."""
        return write_into("type-2 report", self.report, out)


_make_clcw = maker(Clcw)
_make_report = maker(Type2Report)


def decode_operational_control_field(octets: Octets) -> Clcw | Type2Report:
    """What the four octets of an Operational Control Field are, told apart by their first bit."""
    return Type2Report.decode(octets) if CLCW.values(octets)[0] else Clcw.decode(octets)


def require_operational_control_field(unit: str, octets: bytes) -> None:
    """Raise EncodeError unless `octets` are bytes, four of them."""
    require_octets(unit, "operational control field", octets)
    if len(octets) != OCTETS:
        raise EncodeError(
            f"{unit}: an operational control field has {OCTETS} octets, not {len(octets)} [CCSDS 132.0-B-3 §4.1.5]"
        )


def _trailing(given: int) -> FieldError:
    clause = f"{DOCUMENT} §4.2.1.1"
    return FieldError(
        f"{given - OCTETS} octets follow the field",
        unit="operational control field",
        octet_offset=OCTETS,
        clause=clause,
    )
