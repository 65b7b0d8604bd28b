"""USLP Transfer Frame, whole and truncated: codec.  Source: CCSDS 732.1-B-3, section 4.1 and annex D."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, ClassVar, Final, NamedTuple, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control
from ccsds.frames.only_idle_data import OnlyIdleDataFill
from ccsds.frames.operational_control_field import OCTETS as CONTROL_OCTETS
from ccsds.frames.operational_control_field import (
    Clcw,
    Type2Report,
    decode_operational_control_field,
    require_operational_control_field,
)
from ccsds.frames.uslp_data_field import UslpTransferFrameDataField
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "MAXIMUM_OCTETS",
    "ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID",
    "PRIMARY_HEADER",
    "PRIMARY_HEADERS",
    "TRUNCATED_PRIMARY_HEADER",
    "VERSION_NUMBER",
    "UslpTransferFrame",
]

DOCUMENT = "CCSDS 732.1-B-3"
UNIT = "USLP transfer frame"
_START = (
    Field("transfer_frame_version_number", 4, "4.1.2.2.2"),
    Field("spacecraft_id", 16, "4.1.2.2.3"),
    Field("source_or_destination_id", 1, "4.1.2.3"),
    Field("virtual_channel_id", 6, "4.1.2.4"),
    Field("map_id", 4, "4.1.2.5"),
    Field("end_of_frame_primary_header_flag", 1, "4.1.2.6"),
)
_REST = (
    Field("frame_length", 16, "4.1.2.7"),  # octets of the frame, minus 1
    Field("bypass_sequence_control_flag", 1, "4.1.2.8.1"),
    Field("protocol_control_command_flag", 1, "4.1.2.8.2"),
    Field("reserved_spare", 2, "4.1.2.9"),
    Field("operational_control_field_flag", 1, "4.1.2.10"),
    Field("virtual_channel_frame_count_length", 3, "4.1.2.11"),
)
TRUNCATED_PRIMARY_HEADER = Layout("USLP truncated transfer frame primary header", DOCUMENT, *_START)
PRIMARY_HEADER = Layout("USLP transfer frame primary header", DOCUMENT, *_START, *_REST)
PRIMARY_HEADERS: Final = (
    PRIMARY_HEADER,
    *(
        Layout(
            f"USLP transfer frame primary header with a frame count of {octets} octet{'s' * (octets > 1)}",
            DOCUMENT,
            *_START,
            *_REST,
            Field("virtual_channel_frame_count", 8 * octets, "4.1.2.12"),
        )
        for octets in range(1, 8)
    ),
)
"""The headers by the octets of their virtual channel frame count, 0 to 7."""
VERSION_NUMBER: Final = 0b1100
ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID: Final = 63
MAXIMUM_OCTETS: Final = 65536
_CODES = {CRC_16.octets: CRC_16, CRC_32.octets: CRC_32}


class UslpTransferFrame(Unit, frozen=True):
    """One USLP transfer frame.

    With `end_of_frame_primary_header_flag` 1 it is a truncated frame: a header of four octets and a data field, whose
    length is managed.  `transfer_frame_data_field` is that of a `UslpTransferFrameDataField`, header included (under
    security it is cipher text, so the frame does not look into it).  `frame_error_control_octets` 4 is the 32-bit
    field that 732.1-B-3 no longer has.  `received_frame_error_control_field` holds one that does not verify, kept by
    `decode(check=False)` and given back by `encode`.
    """

    ALIASES: ClassVar[dict[str, str]] = {
        "scid": "spacecraft_id",
        "vcid": "virtual_channel_id",
        "ocf": "operational_control_field",
        "fecf": "received_frame_error_control_field",
    }

    spacecraft_id: int
    virtual_channel_id: int
    transfer_frame_data_field: bytes
    map_id: int = 0
    source_or_destination_id: int = 0
    end_of_frame_primary_header_flag: int = 0
    bypass_sequence_control_flag: int = 0
    protocol_control_command_flag: int = 0
    virtual_channel_frame_count_length: int = 0
    virtual_channel_frame_count: int = 0
    insert_zone: bytes = b""
    operational_control_field: bytes | None = None
    frame_error_control_present: bool = False
    frame_error_control_octets: int = 2
    reserved_spare: int = 0
    transfer_frame_version_number: int = VERSION_NUMBER
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
    def is_truncated(self) -> bool:
        """True for a frame without frame length, frame count, insert zone, control field and error control."""
        return bool(self.end_of_frame_primary_header_flag)

    @property
    def is_only_idle_data(self) -> bool:
        """True on the virtual channel that carries nothing."""
        return self.virtual_channel_id == ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID

    @property
    def frame_length(self) -> int | None:
        """The length field, octets of the encoded frame minus 1; None in a truncated frame."""
        return None if self.is_truncated else len(self) - 1

    @property
    def operational_control_field_flag(self) -> int:
        """1 where the frame has an operational control field."""
        return int(self.operational_control_field is not None)

    @property
    def data_field(self) -> UslpTransferFrameDataField:
        """The data field decoded.

        Raises: TruncatedError: no room for its header and a data zone.
                FieldError: a truncated frame with a rule that has a pointer (annex D).
        """
        field = UslpTransferFrameDataField.decode(self.transfer_frame_data_field)
        if self.is_truncated and field.is_of_fixed_length:
            message = f"rule {field.construction_rule:03b} is not for truncated frames"
            raise FieldError(message, unit=UNIT, octet_offset=TRUNCATED_PRIMARY_HEADER.octets, clause=_annex())
        return field

    @property
    def control_word(self) -> Clcw | Type2Report | None:
        """The operational control field decoded; None where there is none.  Raises DecodeError as Clcw.decode."""
        field = self.operational_control_field
        return None if field is None else decode_operational_control_field(field)

    @property
    def frame_error_control_field(self) -> int | None:
        """The frame error control field as it is encoded; None in a frame without one."""
        if not self.frame_error_control_present:
            return None
        received = self.received_frame_error_control_field
        return self._computed() if received is None else received

    @property
    def is_intact(self) -> bool:
        """False when the frame was decoded with `check=False` and its error control field does not verify."""
        received = self.received_frame_error_control_field
        return received is None or received == self._computed()

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this frame back from its octets."""
        return {
            "frame_error_control_present": self.frame_error_control_present,
            "frame_error_control_octets": self.frame_error_control_octets,
            "insert_zone_octets": len(self.insert_zone),
        }

    def _header(self) -> Layout:
        return (
            TRUNCATED_PRIMARY_HEADER if self.is_truncated else PRIMARY_HEADERS[self.virtual_channel_frame_count_length]
        )

    def __len__(self) -> int:
        """Octets of the encoded frame."""
        octets = self._header().octets + len(self.insert_zone) + len(self.transfer_frame_data_field)
        octets += CONTROL_OCTETS * self.operational_control_field_flag
        return octets + self.frame_error_control_octets * self.frame_error_control_present

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "transfer_frame_data_field", self.transfer_frame_data_field)
        require_octets(UNIT, "insert_zone", self.insert_zone)
        if self.operational_control_field is not None:
            require_operational_control_field(UNIT, self.operational_control_field)
        if self.transfer_frame_version_number != VERSION_NUMBER:
            raise EncodeError(
                f"{UNIT}: transfer_frame_version_number is {VERSION_NUMBER} "
                f"[{PRIMARY_HEADER.clause('transfer_frame_version_number')}]"
            )
        if self.frame_error_control_octets not in _CODES:
            raise EncodeError(f"{UNIT}: frame_error_control_octets is 2 or 4 [{DOCUMENT} §4.1.6]")
        PRIMARY_HEADER.check({name: getattr(self, name) for name in PRIMARY_HEADER.names if name != "frame_length"})
        header = self._header()
        header.check({name: getattr(self, name) for name in header.names if name != "frame_length"})
        if self.virtual_channel_frame_count and "virtual_channel_frame_count" not in header.names:
            raise EncodeError(f"{UNIT}: there is no room for a frame count [{PRIMARY_HEADER.clause('reserved_spare')}]")
        if self.is_truncated:
            self._check_truncated()
        if not self.transfer_frame_data_field or len(self) > MAXIMUM_OCTETS:
            raise EncodeError(
                f"{UNIT}: a frame has at least one octet of data field and at most {MAXIMUM_OCTETS} octets in all, "
                f"not {len(self.transfer_frame_data_field)} and {len(self)} [{DOCUMENT} §4.1.1]"
            )
        self._check_error_control()

    def _check_truncated(self) -> None:
        absent = {
            "insert_zone": self.insert_zone,
            "operational_control_field": self.operational_control_field_flag,
            "frame_error_control_present": self.frame_error_control_present,
            "bypass_sequence_control_flag": self.bypass_sequence_control_flag,
            "protocol_control_command_flag": self.protocol_control_command_flag,
            "virtual_channel_frame_count_length": self.virtual_channel_frame_count_length,
            "reserved_spare": self.reserved_spare,
        }
        for name, value in absent.items():
            if value:
                raise EncodeError(f"{UNIT}: a truncated frame has no {name} [{_annex()}]")

    def _check_error_control(self) -> None:
        received = self.received_frame_error_control_field
        if received is None:
            return
        if not self.frame_error_control_present:
            raise EncodeError(f"{UNIT}: a frame without error control has received none [{DOCUMENT} §4.1.6]")
        maximum = (1 << 8 * self.frame_error_control_octets) - 1
        if not isinstance(received, int) or not 0 <= received <= maximum:
            raise EncodeError(f"{UNIT}: received_frame_error_control_field is {received!r}, not 0 to {maximum}")

    @classmethod
    def only_idle_data(
        cls, *, spacecraft_id: int, data_field_octets: int, fill: OnlyIdleDataFill, **fields: object
    ) -> Self:
        """A frame of virtual channel 63 whose data field, header included, has so many octets, 4 or more.

        `fields` are those of any frame.  Such frames are for channels with frames of fixed length.
        """
        zone_octets = data_field_octets - 3
        if zone_octets < 1:
            raise EncodeError(
                f"{UNIT}: data_field_octets is {data_field_octets}, not 4 or more [{DOCUMENT} §4.1.4.1.6]"
            )
        return cls(
            spacecraft_id=spacecraft_id,
            virtual_channel_id=ONLY_IDLE_DATA_VIRTUAL_CHANNEL_ID,
            transfer_frame_data_field=UslpTransferFrameDataField.only_idle_data(
                zone_octets=zone_octets, fill=fill
            ).encode(),
            **fields,  # type: ignore[arg-type]
        )

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        frame_error_control_present: bool,
        frame_error_control_octets: int = 2,
        insert_zone_octets: int = 0,
        check: bool = True,
    ) -> Self:
        """The frame that `octets` are, exactly.

        Args:   frame_error_control_present, insert_zone_octets: managed; truncated frames have neither.
                frame_error_control_octets: 4 for the 32-bit field of older issues.
                check: False keeps a frame whose error control field does not verify (see `is_intact`).
        Raises: IntegrityError: the error control field does not verify.
                FieldError: another version, or octets left over.
                TruncatedError: fewer octets than the length field promises, or no room for a data field.
        """
        managed = _Managed(frame_error_control_present, frame_error_control_octets, insert_zone_octets, check)
        frame, end = _cut(octets, managed, len(octets))
        if end != len(octets):
            clause = PRIMARY_HEADER.clause("frame_length")
            raise FieldError(f"{len(octets) - end} octets follow the frame", unit=UNIT, octet_offset=end, clause=clause)
        return frame  # type: ignore[no-any-return]

    @classmethod
    def decode_from(
        cls,
        octets: Octets,
        *,
        frame_error_control_present: bool,
        frame_error_control_octets: int = 2,
        insert_zone_octets: int = 0,
        truncated_transfer_frame_octets: int | None = None,
        check: bool = True,
    ) -> tuple[Self, memoryview]:
        """Cut one frame off the front of `octets`, by its length field; return it and what follows it.

        Args:   truncated_transfer_frame_octets: managed, per virtual channel; None: there are no truncated frames.
        Raises: FieldError, besides what `decode` raises: a truncated frame where there are none.
        """
        managed = _Managed(frame_error_control_present, frame_error_control_octets, insert_zone_octets, check)
        frame, end = _cut(octets, managed, truncated_transfer_frame_octets)
        return frame, memoryview(octets)[end:]

    def _computed(self) -> int:
        return frame_error_control(self._protected(), _CODES[self.frame_error_control_octets])

    def _protected(self) -> bytes:
        """The frame without its error control field."""
        header, control = self._header(), self.operational_control_field
        parts = [
            header.pack_values(*_VALUES[header](self)),
            self.insert_zone,
            self.transfer_frame_data_field,
        ]
        if control is not None:
            parts.append(control)
        return b"".join(parts)

    def encode(self) -> bytes:
        """The octets of the frame.  Raises EncodeError where a field does not fit."""
        octets = self._protected()
        if not self.frame_error_control_present:
            return octets
        field, size = self.received_frame_error_control_field, self.frame_error_control_octets
        return octets + (frame_error_control(octets, _CODES[size]) if field is None else field).to_bytes(size, "big")

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the frame at the start of `out`; return the octets written.  Raises EncodeError: `out` is too short."""
        return write_into(UNIT, self.encode(), out)


class _Managed(NamedTuple):
    """The managed parameters of one decoding."""

    check_present: bool
    check_octets: int
    insert_zone_octets: int
    check: bool


_make = maker(UslpTransferFrame)
_VALUES = {header: attrgetter(*header.names) for header in (TRUNCATED_PRIMARY_HEADER, *PRIMARY_HEADERS)}


def _annex() -> str:
    return f"{DOCUMENT} §D1"


def _cut(octets: Octets, managed: _Managed, truncated_octets: int | None) -> tuple[Any, int]:
    """The frame at the start of `octets`, and where it ends.  What follows octet 3 depends on the flag in it."""
    if managed.check_octets not in _CODES:
        raise ValueError(f"frame_error_control_octets is 2 or 4, not {managed.check_octets}")
    if managed.insert_zone_octets < 0:
        raise ValueError(f"insert_zone_octets is {managed.insert_zone_octets}, not 0 or more")
    version, spacecraft, source, channel, map_id, flag = TRUNCATED_PRIMARY_HEADER.values(octets)
    if flag:
        return _cut_truncated(octets, managed, truncated_octets)
    values = PRIMARY_HEADER.values(octets)
    length, bypass, command, spare, has_control, count_octets = values[len(_START) :]
    header = PRIMARY_HEADERS[count_octets]
    zone_at, whole = header.octets, length + 1
    begin = zone_at + managed.insert_zone_octets
    check_at = whole - managed.check_octets * managed.check_present
    end = check_at - CONTROL_OCTETS * has_control
    if whole > len(octets) or end <= begin:
        raise _no_room(len(octets), whole, begin, whole - end)
    view = memoryview(octets)
    received = _verify(view[:whole], check_at, managed) if managed.check_present else None
    if version != VERSION_NUMBER:
        raise _wrong_version(version)
    frame = _make(
        spacecraft,
        channel,
        bytes(view[begin:end]),
        map_id,
        source,
        0,
        bypass,
        command,
        count_octets,
        header.values(octets)[-1] if count_octets else 0,
        bytes(view[zone_at:begin]),
        bytes(view[end:check_at]) if has_control else None,
        managed.check_present,
        managed.check_octets,
        spare,
        version,
        received,
    )
    return frame, whole


def _cut_truncated(octets: Octets, managed: _Managed, whole: int | None) -> tuple[Any, int]:
    version, spacecraft, source, channel, map_id, flag = TRUNCATED_PRIMARY_HEADER.values(octets)
    if version != VERSION_NUMBER:
        raise _wrong_version(version)
    begin = TRUNCATED_PRIMARY_HEADER.octets
    if whole is None:
        message = "truncated frame, and no length of truncated frames is managed"
        raise FieldError(message, unit=UNIT, octet_offset=begin - 1, clause=_annex())
    if whole > len(octets) or whole <= begin:
        message = f"a truncated frame of {whole} octets, {len(octets)} given, leaves no data after {begin}"
        raise TruncatedError(message, unit=UNIT, octet_offset=min(whole, len(octets)), clause=_annex())
    data = bytes(memoryview(octets)[begin:whole])
    frame = _make(
        spacecraft,
        channel,
        data,
        map_id,
        source,
        flag,
        0,
        0,
        0,
        0,
        b"",
        None,
        False,
        managed.check_octets,
        0,
        version,
        None,
    )
    return frame, whole


def _verify(frame: memoryview, at: int, managed: _Managed) -> int | None:
    """The error control field of a frame where it is wrong; None where it is right."""
    if not frame_error_control(frame, _CODES[managed.check_octets]):
        return None
    if managed.check:
        message = "error control field does not verify"
        raise IntegrityError(message, unit=UNIT, octet_offset=at, clause=f"{DOCUMENT} §4.1.6")
    return int.from_bytes(frame[at:], "big")


def _wrong_version(version: int) -> DecodeError:
    clause = PRIMARY_HEADER.clause("transfer_frame_version_number")
    return FieldError(f"version number {version} is not {VERSION_NUMBER}", unit=UNIT, octet_offset=0, clause=clause)


def _no_room(given: int, whole: int, before: int, after: int) -> TruncatedError:
    if whole > given:
        message = f"length field asks for {whole} octets, {given} given"
    else:
        message = f"{before} octets before the data and {after} after it leave no data in {whole}"
    at = TRUNCATED_PRIMARY_HEADER.octets
    return TruncatedError(message, unit=UNIT, octet_offset=at, clause=PRIMARY_HEADER.clause("frame_length"))
