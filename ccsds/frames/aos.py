"""AOS Transfer Frame: codec of the whole frame.  Source: CCSDS 732.0-B-5, section 4.1; earlier issues too."""

from __future__ import annotations

from typing import Any, ClassVar, Final, NamedTuple, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.aos_data_field import BitstreamProtocolDataUnit, MultiplexingProtocolDataUnit, is_early
from ccsds.frames.error_control import correct_header as corrected_header
from ccsds.frames.error_control import frame_error_control, header_error_control
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.operational_control_field import OCTETS as CONTROL_OCTETS
from ccsds.frames.operational_control_field import (
    Clcw,
    Type2Report,
    decode_operational_control_field,
    require_operational_control_field,
)
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID",
    "PRIMARY_HEADER",
    "PRIMARY_HEADER_ISSUE_4",
    "VERSION_NUMBER",
    "AosTransferFrame",
]

DOCUMENT = "CCSDS 732.0-B-5"
UNIT = "AOS transfer frame"
VERSION_NUMBER: Final = 0b01
ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID: Final = 63
"""The virtual channel whose frames carry nothing, whatever they hold (4.1.2.3)."""
_COMMON = (
    Field("transfer_frame_version_number", 2, "4.1.2.2.2"),
    Field("spacecraft_id_least_significant", 8, "4.1.2.2.3"),
    Field("virtual_channel_id", 6, "4.1.2.3"),
    Field("virtual_channel_frame_count", 24, "4.1.2.4"),
    Field("replay_flag", 1, "4.1.2.5.2"),
    Field("virtual_channel_frame_count_usage_flag", 1, "4.1.2.5.3"),
)
_CYCLE = Field("virtual_channel_frame_count_cycle", 4, "4.1.2.5.5")
PRIMARY_HEADER = Layout(
    "AOS transfer frame primary header",
    DOCUMENT,
    *_COMMON,
    Field("spacecraft_id_most_significant", 2, "4.1.2.5.4"),  # spare before issue 5
    _CYCLE,
)
PRIMARY_HEADER_ISSUE_4 = Layout(
    "AOS transfer frame primary header, issue 4",
    "CCSDS 732.0-B-4",
    *(field._replace(name="spacecraft_id") if field.name.startswith("spacecraft") else field for field in _COMMON),
    Field("reserved_spare", 2, "4.1.2.5.4"),
    _CYCLE,
)
_HEADER_CHECK_OCTETS = 2
_CHECK_OCTETS = 2


class AosTransferFrame(Unit, frozen=True):
    """One AOS transfer frame.

    Whether header error control, insert zone, operational control field and frame error control are there is managed,
    and therefore part of the unit.  Both check fields are computed; the two `received_` fields hold ones that do not
    verify, kept by `decode(check=False)` and given back by `encode`.  `issue` is that of 732.0-B: up to 4 the
    spacecraft identifier has eight bits, the two bits before the cycle are spare, and the first header pointer of an
    M_PDU has eleven bits instead of sixteen.
    """

    ALIASES: ClassVar[dict[str, str]] = {
        "scid": "spacecraft_id",
        "vcid": "virtual_channel_id",
        "ocf": "operational_control_field",
        "fecf": "received_frame_error_control_field",
    }

    spacecraft_id: int
    virtual_channel_id: int
    virtual_channel_frame_count: int
    transfer_frame_data_field: bytes
    replay_flag: int = 0
    virtual_channel_frame_count_usage_flag: int = 0
    virtual_channel_frame_count_cycle: int = 0
    insert_zone: bytes = b""
    operational_control_field: bytes | None = None
    frame_header_error_control_present: bool = False
    frame_error_control_present: bool = False
    issue: int = 5
    reserved_spare: int = 0
    transfer_frame_version_number: int = VERSION_NUMBER
    received_frame_header_error_control: int | None = None
    received_frame_error_control_field: int | None = None

    @property
    def scid(self) -> int:
        """Shorthand for spacecraft_id."""
        return self.spacecraft_id

    @property
    def vcid(self) -> int:
        """Shorthand for virtual_channel_id."""
        return self.virtual_channel_id

    @property
    def ocf(self) -> bytes | None:
        """Shorthand for operational_control_field."""
        return self.operational_control_field

    @property
    def fecf(self) -> int | None:
        """Shorthand for frame_error_control_field."""
        return self.frame_error_control_field

    @property
    def frame_error_control_field(self) -> int | None:
        """The frame error control field as it is encoded; None in a frame without one."""
        if not self.frame_error_control_present:
            return None
        received = self.received_frame_error_control_field
        return frame_error_control(self._protected()) if received is None else received

    @property
    def frame_header_error_control(self) -> int | None:
        """The frame header error control field as it is encoded; None in a frame without one."""
        if not self.frame_header_error_control_present:
            return None
        received = self.received_frame_header_error_control
        return header_error_control(self._header()) if received is None else received

    @property
    def is_intact(self) -> bool:
        """False when the frame was decoded with `check=False` and one of its check fields does not verify."""
        header, received = self.received_frame_header_error_control, self.received_frame_error_control_field
        return (header is None or header == header_error_control(self._header())) and (
            received is None or received == frame_error_control(self._protected())
        )

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this frame back from its octets."""
        return {
            "frame_error_control_present": self.frame_error_control_present,
            "frame_header_error_control_present": self.frame_header_error_control_present,
            "operational_control_field_present": self.operational_control_field is not None,
            "insert_zone_octets": len(self.insert_zone),
            "issue": self.issue,
        }

    @property
    def extended_virtual_channel_frame_count(self) -> int:
        """The count in 28 bits, cycle before count, where the usage flag says that there is a cycle; else in 24."""
        cycle = self.virtual_channel_frame_count_cycle if self.virtual_channel_frame_count_usage_flag else 0
        return cycle << 24 | self.virtual_channel_frame_count

    @property
    def spacecraft_id_least_significant(self) -> int:
        """The eight bits of the spacecraft identifier at the start of the header."""
        return self.spacecraft_id & 0xFF

    @property
    def spacecraft_id_most_significant(self) -> int:
        """The two bits of the spacecraft identifier in the signalling field, since issue 5."""
        return self.spacecraft_id >> 8

    @property
    def is_only_idle_data(self) -> bool:
        """True for a frame of virtual channel 63: nothing may be extracted from it, even if it parses."""
        return self.virtual_channel_id == ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID

    @property
    def control_word(self) -> Clcw | Type2Report | None:
        """The operational control field decoded; None where there is none.  Raises DecodeError as Clcw.decode."""
        field = self.operational_control_field
        return None if field is None else decode_operational_control_field(field)

    @property
    def multiplexing_protocol_data_unit(self) -> MultiplexingProtocolDataUnit:
        """The data field as M_PDU.  Raises DecodeError where it is too short."""
        return MultiplexingProtocolDataUnit.decode(self.transfer_frame_data_field, issue=self.issue)

    @property
    def bitstream_protocol_data_unit(self) -> BitstreamProtocolDataUnit:
        """The data field as B_PDU.  Raises DecodeError where it is too short."""
        return BitstreamProtocolDataUnit.decode(self.transfer_frame_data_field)

    def __len__(self) -> int:
        """Octets of the encoded frame."""
        octets = PRIMARY_HEADER.octets + _HEADER_CHECK_OCTETS * self.frame_header_error_control_present
        octets += len(self.insert_zone) + len(self.transfer_frame_data_field)
        octets += CONTROL_OCTETS * (self.operational_control_field is not None)
        return octets + _CHECK_OCTETS * self.frame_error_control_present

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "transfer_frame_data_field", self.transfer_frame_data_field)
        require_octets(UNIT, "insert_zone", self.insert_zone)
        if not self.transfer_frame_data_field:
            raise EncodeError(f"{UNIT}: a frame has at least one octet of data [{DOCUMENT} §4.1.4]")
        if self.operational_control_field is not None:
            require_operational_control_field(UNIT, self.operational_control_field)
        if self.transfer_frame_version_number != VERSION_NUMBER:
            clause = PRIMARY_HEADER.clause("transfer_frame_version_number")
            raise EncodeError(f"{UNIT}: transfer_frame_version_number is {VERSION_NUMBER} [{clause}]")
        limit = 0xFF if is_early(self.issue, EncodeError) else 0x3FF
        if not isinstance(self.spacecraft_id, int) or not 0 <= self.spacecraft_id <= limit:
            clause = PRIMARY_HEADER.clause("spacecraft_id_least_significant")
            raise EncodeError(
                f"{UNIT}: spacecraft_id is {self.spacecraft_id!r}, not 0 to {limit} in issue {self.issue} [{clause}]"
            )
        if self.reserved_spare and self.issue > 4:
            raise EncodeError(f"{UNIT}: issue {self.issue} has no reserved_spare [{DOCUMENT} §4.1.2.5.4]")
        layout = _layout(self.issue)
        layout.check({name: getattr(self, name) for name in layout.names})
        for name, present in (
            ("received_frame_header_error_control", self.frame_header_error_control_present),
            ("received_frame_error_control_field", self.frame_error_control_present),
        ):
            _check_received(name, getattr(self, name), present)

    @classmethod
    def only_idle_data(
        cls,
        *,
        spacecraft_id: int,
        virtual_channel_frame_count: int,
        data_octets: int,
        fill: OnlyIdleDataFill,
        **fields: object,
    ) -> Self:
        """A frame of virtual channel 63 with `data_octets` octets of fill; `fields` are those of any frame."""
        return cls(
            spacecraft_id=spacecraft_id,
            virtual_channel_id=ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID,
            virtual_channel_frame_count=virtual_channel_frame_count,
            transfer_frame_data_field=fill.take(data_octets),
            **fields,  # type: ignore[arg-type]
        )

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        frame_error_control_present: bool,
        frame_header_error_control_present: bool = False,
        operational_control_field_present: bool = False,
        insert_zone_octets: int = 0,
        issue: int = 5,
        correct_header: bool = False,
        check: bool = True,
    ) -> Self:
        """The frame that `octets` are, exactly.

        Args:   the managed parameters of the channel: nothing in the frame tells what it consists of.
                correct_header: repair up to two nibbles of the header by its error control; how many
                `ccsds.frames.error_control.correct_header` tells.
                check: False keeps a frame whose check fields do not verify (see `is_intact`).
        Raises: IntegrityError: a check field does not verify.  FieldError: another version.
                TruncatedError: no room for all of it and one octet of data.
        """
        early = is_early(issue, ValueError)
        if insert_zone_octets < 0:
            raise ValueError(f"insert_zone_octets is {insert_zone_octets}, not 0 or more")
        begin = PRIMARY_HEADER.octets + _HEADER_CHECK_OCTETS * frame_header_error_control_present
        zone_at, begin = begin, begin + insert_zone_octets
        end = len(octets) - _CHECK_OCTETS * frame_error_control_present
        control_at = end
        end -= CONTROL_OCTETS * operational_control_field_present
        if end <= begin:
            raise _no_room(len(octets), begin, len(octets) - end)
        header_check = None
        if frame_header_error_control_present:
            octets, header_check = _verify_header(octets, correct_header, check)
        frame_check = None
        if frame_error_control_present and frame_error_control(octets):
            if check:
                raise _damaged("error control field does not verify", control_at, "4.1.6")
            frame_check = int.from_bytes(memoryview(octets)[control_at:], "big")
        head = _Head(*PRIMARY_HEADER.values(octets))
        if head.version != VERSION_NUMBER:
            clause = PRIMARY_HEADER.clause("transfer_frame_version_number")
            raise FieldError(f"version number {head.version} is not 1", unit=UNIT, octet_offset=0, clause=clause)
        view = memoryview(octets)
        return _make(  # type: ignore[no-any-return]
            head.spacecraft if early else head.upper << 8 | head.spacecraft,
            head.channel,
            head.frame_count,
            bytes(view[begin:end]),
            head.replay,
            head.usage,
            head.cycle,
            bytes(view[zone_at:begin]),
            bytes(view[end:control_at]) if operational_control_field_present else None,
            frame_header_error_control_present,
            frame_error_control_present,
            issue,
            head.upper if early else 0,
            head.version,
            header_check,
            frame_check,
        )

    @classmethod
    def decode_from(
        cls, octets: Octets, *, transfer_frame_octets: int, frame_error_control_present: bool, **managed: object
    ) -> tuple[Self, memoryview]:
        """Cut one frame of `transfer_frame_octets` off the front of `octets`; return it and what follows it.

        `managed`: the other keywords of `decode`.
        """
        view = memoryview(octets)
        if len(view) < transfer_frame_octets:
            message = f"a frame has {transfer_frame_octets} octets, {len(view)} given"
            raise TruncatedError(message, unit=UNIT, octet_offset=len(view), clause=f"{DOCUMENT} §4.1.1")
        frame = cls.decode(
            view[:transfer_frame_octets],
            frame_error_control_present=frame_error_control_present,
            **managed,  # type: ignore[arg-type]
        )
        return frame, view[transfer_frame_octets:]

    def _header(self) -> bytes:
        layout = _layout(self.issue)
        return layout.pack_values(*[getattr(self, name) for name in layout.names])

    def _protected(self) -> bytes:
        """The frame without its error control field."""
        parts = [self._header()]
        header_check = self.frame_header_error_control
        if header_check is not None:
            parts.append(header_check.to_bytes(_HEADER_CHECK_OCTETS, "big"))
        parts += [self.insert_zone, self.transfer_frame_data_field]
        if self.operational_control_field is not None:
            parts.append(self.operational_control_field)
        return b"".join(parts)

    def encode(self) -> bytes:
        """The octets of the frame.  Raises EncodeError where a field does not fit."""
        octets = self._protected()
        if not self.frame_error_control_present:
            return octets
        field = self.received_frame_error_control_field
        return octets + (frame_error_control(octets) if field is None else field).to_bytes(_CHECK_OCTETS, "big")

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the frame at the start of `out`; return the octets written.  Raises EncodeError: `out` is too short."""
        return write_into(UNIT, self.encode(), out)


class _Head(NamedTuple):
    """The values of PRIMARY_HEADER, in order."""

    version: int
    spacecraft: int
    channel: int
    frame_count: int
    replay: int
    usage: int
    upper: int
    cycle: int


_make = maker(AosTransferFrame)


def _layout(issue: int) -> Layout:
    return PRIMARY_HEADER_ISSUE_4 if issue < 5 else PRIMARY_HEADER


def _check_received(name: str, received: int | None, present: bool) -> None:
    if received is None:
        return
    if not present:
        raise EncodeError(f"{UNIT}: {name} is given for a frame without that field")
    if not isinstance(received, int) or not 0 <= received <= 0xFFFF:
        raise EncodeError(f"{UNIT}: {name} is {received!r}, not 0 to 65535")


def _verify_header(octets: Octets, correct: bool, check: bool) -> tuple[Octets, int | None]:
    """The frame, its header repaired if wanted; and the header error control field where it is wrong nevertheless."""
    covered = PRIMARY_HEADER.octets
    end = covered + _HEADER_CHECK_OCTETS
    header = bytes(memoryview(octets)[:end])
    field = int.from_bytes(header[covered:], "big")
    if header_error_control(header) == field:
        return octets, None
    if correct:
        try:
            return corrected_header(header).octets + bytes(memoryview(octets)[end:]), None
        except IntegrityError:
            if check:
                raise
    elif check:
        raise _damaged("frame header error control does not verify", covered, "4.1.2.6")
    return octets, field


def _damaged(message: str, octet_offset: int, clause: str) -> IntegrityError:
    return IntegrityError(message, unit=UNIT, octet_offset=octet_offset, clause=f"{DOCUMENT} §{clause}")


def _no_room(given: int, before: int, after: int) -> TruncatedError:
    message = f"{before} octets before the data and {after} after it leave no data in {given}"
    return TruncatedError(message, unit=UNIT, octet_offset=given, clause=f"{DOCUMENT} §4.1.1")
