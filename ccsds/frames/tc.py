"""TC Transfer Frame, its segment header and control commands: codecs.  Source: CCSDS 232.0-B-4, section 4.1."""

from __future__ import annotations

from enum import IntEnum
from operator import attrgetter
from typing import Any, ClassVar, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.error_control import frame_error_control
from ccsds.layout import Field, Layout, Octets

__all__ = [
    "MAXIMUM_OCTETS",
    "PRIMARY_HEADER",
    "SEGMENT_HEADER",
    "SET_V_R",
    "UNLOCK",
    "SegmentSequenceFlags",
    "SetVr",
    "TcTransferFrame",
    "Unlock",
    "decode_control_command",
]

DOCUMENT = "CCSDS 232.0-B-4"
UNIT = "TC transfer frame"
PRIMARY_HEADER = Layout(
    "TC transfer frame primary header",
    DOCUMENT,
    Field("transfer_frame_version_number", 2, "4.1.2.2"),
    Field("bypass_flag", 1, "4.1.2.3.1"),
    Field("control_command_flag", 1, "4.1.2.3.2"),
    Field("reserved_spare", 2, "4.1.2.4"),
    Field("spacecraft_id", 10, "4.1.2.5"),
    Field("virtual_channel_id", 6, "4.1.2.6"),
    Field("frame_length", 10, "4.1.2.7"),  # octets of the frame, minus 1
    Field("frame_sequence_number", 8, "4.1.2.8"),
)
SEGMENT_HEADER = Layout(
    "TC segment header",
    DOCUMENT,
    Field("sequence_flags", 2, "4.1.3.2.2.2"),
    Field("map_id", 6, "4.1.3.2.2.3"),
)
UNLOCK = Layout("Unlock control command", DOCUMENT, Field("unlock_command", 8, "4.1.3.3.2"))
SET_V_R = Layout(
    "Set V(R) control command",
    DOCUMENT,
    Field("set_v_r_command", 16, "4.1.3.3.3"),
    Field("receiver_frame_sequence_number", 8, "4.1.3.3.3"),
)
MAXIMUM_OCTETS: Final = 1024
UNLOCK_COMMAND: Final = 0
SET_V_R_COMMAND: Final = 0x8200
_CHECK_OCTETS = 2
_COMMAND_UNIT = "TC control command"


class SegmentSequenceFlags(IntEnum):
    """Which portion of a service data unit a segment holds (4.1.3.2.2.2)."""

    CONTINUING = 0
    FIRST = 1
    LAST = 2
    UNSEGMENTED = 3


_SEQUENCE_FLAGS = tuple(SegmentSequenceFlags)


class Unlock(Unit, frozen=True):
    """The control command that ends FARM-1's lockout."""

    def __len__(self) -> int:
        return UNLOCK.octets

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The command that `octets` are, exactly.  Raises TruncatedError, FieldError."""
        return _whole(cls, octets)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one command off the front of `octets`; return it and the octets that follow it."""
        (code,) = UNLOCK.values(octets)
        if code != UNLOCK_COMMAND:
            raise _no_command(f"{code:#04x} is not Unlock, {UNLOCK_COMMAND:#04x}", UNLOCK)
        return _make_unlock(), memoryview(octets)[UNLOCK.octets :]

    def encode(self) -> bytes:
        """The octet of the command."""
        return UNLOCK.pack_values(UNLOCK_COMMAND)

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the command at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(_COMMAND_UNIT, self.encode(), out)


class SetVr(Unit, frozen=True):
    """The control command that sets V(R), the sequence number which FARM-1 expects next."""

    receiver_frame_sequence_number: int

    def __len__(self) -> int:
        return SET_V_R.octets

    def check(self) -> None:
        """Raise EncodeError where the number does not fit."""
        SET_V_R.check({"receiver_frame_sequence_number": self.receiver_frame_sequence_number})

    @classmethod
    def decode(cls, octets: Octets) -> Self:
        """The command that `octets` are, exactly.  Raises TruncatedError, FieldError."""
        return _whole(cls, octets)  # type: ignore[no-any-return]

    @classmethod
    def decode_from(cls, octets: Octets) -> tuple[Self, memoryview]:
        """Cut one command off the front of `octets`; return it and the octets that follow it."""
        code, number = SET_V_R.values(octets)
        if code != SET_V_R_COMMAND:
            raise _no_command(f"{code:#06x} is not Set V(R), {SET_V_R_COMMAND:#06x}", SET_V_R)
        return _make_set_v_r(number), memoryview(octets)[SET_V_R.octets :]

    def encode(self) -> bytes:
        """The three octets of the command."""
        return SET_V_R.pack_values(SET_V_R_COMMAND, self.receiver_frame_sequence_number)

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the command at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(_COMMAND_UNIT, self.encode(), out)


def decode_control_command(octets: Octets) -> Unlock | SetVr:
    """The control command that the data field of a type-BC frame is.

    Raises: TruncatedError, FieldError: it is neither of the two (so that FARM-1 must not see it, 232.1-B-2 6.3.2).
    """
    return Unlock.decode(octets) if len(octets) < SET_V_R.octets else SetVr.decode(octets)


class TcTransferFrame(Unit, frozen=True):
    """One TC transfer frame.

    `transfer_frame_data_unit` holds what follows the segment header, or the whole data field where there is none:
    `sequence_flags` and `map_id` are then None.  Frames with control commands (type BC) never have a segment header.
    The frame error control field is computed; `received_frame_error_control_field` holds one that does not verify,
    kept by `decode(check=False)` and given back by `encode`.
    """

    ALIASES: ClassVar[dict[str, str]] = {
        "scid": "spacecraft_id",
        "vcid": "virtual_channel_id",
        "fecf": "received_frame_error_control_field",
    }

    spacecraft_id: int
    virtual_channel_id: int
    transfer_frame_data_unit: bytes
    frame_sequence_number: int = 0
    bypass_flag: int = 0
    control_command_flag: int = 0
    sequence_flags: SegmentSequenceFlags | None = None
    map_id: int | None = None
    frame_error_control_present: bool = False
    reserved_spare: int = 0
    transfer_frame_version_number: int = 0
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
    def fecf(self) -> int | None:
        """Shorthand for frame_error_control_field."""
        return self.frame_error_control_field

    @property
    def frame_type(self) -> str:
        """AD, sequence-controlled; BD, expedited; BC, expedited with a control command."""
        return ("B" if self.bypass_flag else "A") + ("C" if self.control_command_flag else "D")

    @property
    def frame_length(self) -> int:
        """The length field: octets of the encoded frame minus 1."""
        return len(self) - 1

    @property
    def segment_header_present(self) -> bool:
        """True where the data field begins with a segment header."""
        return self.map_id is not None

    @property
    def control_command(self) -> Unlock | SetVr | None:
        """The control command of a type-BC frame; None in others.  Raises DecodeError: neither of the two."""
        return decode_control_command(self.transfer_frame_data_unit) if self.control_command_flag else None

    @property
    def frame_error_control_field(self) -> int | None:
        """The frame error control field as it is encoded; None in a frame without one."""
        if not self.frame_error_control_present:
            return None
        received = self.received_frame_error_control_field
        return frame_error_control(self._protected()) if received is None else received

    @property
    def is_intact(self) -> bool:
        """False when the frame was decoded with `check=False` and its error control field does not verify."""
        received = self.received_frame_error_control_field
        return received is None or received == frame_error_control(self._protected())

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this frame back from its octets."""
        return {
            "segment_header_present": self.segment_header_present,
            "frame_error_control_present": self.frame_error_control_present,
        }

    def __len__(self) -> int:
        """Octets of the encoded frame."""
        octets = PRIMARY_HEADER.octets + SEGMENT_HEADER.octets * self.segment_header_present
        return octets + len(self.transfer_frame_data_unit) + _CHECK_OCTETS * self.frame_error_control_present

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "transfer_frame_data_unit", self.transfer_frame_data_unit)
        if self.transfer_frame_version_number != 0:
            _refuse("transfer_frame_version_number", "is 0")
        if (self.sequence_flags is None) != (self.map_id is None):
            raise EncodeError(f"{UNIT}: sequence_flags and map_id go together [{SEGMENT_HEADER.clause('map_id')}]")
        data = len(self.transfer_frame_data_unit) + SEGMENT_HEADER.octets * self.segment_header_present
        if not data or len(self) > MAXIMUM_OCTETS:
            raise EncodeError(
                f"{UNIT}: a frame has at least one octet of data and at most {MAXIMUM_OCTETS} octets in all, "
                f"not {data} and {len(self)} [{DOCUMENT} §4.1.1]"
            )
        PRIMARY_HEADER.check({name: getattr(self, name) for name in PRIMARY_HEADER.names})
        if self.map_id is not None and self.sequence_flags is not None:
            SEGMENT_HEADER.check({"sequence_flags": self.sequence_flags, "map_id": self.map_id})
        if self.control_command_flag and not self.bypass_flag:
            _refuse("control_command_flag", "1 needs a bypass_flag of 1")
        if self.control_command_flag and self.segment_header_present:
            raise EncodeError(f"{UNIT}: a control command has no segment header [{DOCUMENT} §4.1.3.2.2.1]")
        self._check_error_control()

    def _check_error_control(self) -> None:
        received = self.received_frame_error_control_field
        if received is None:
            return
        if not self.frame_error_control_present:
            raise EncodeError(f"{UNIT}: a frame without error control has received none [{DOCUMENT} §4.1.4]")
        if not isinstance(received, int) or not 0 <= received <= 0xFFFF:
            raise EncodeError(f"{UNIT}: received_frame_error_control_field is {received!r}, not 0 to 65535")

    @classmethod
    def control(cls, command: Unlock | SetVr, *, spacecraft_id: int, virtual_channel_id: int, **fields: object) -> Self:
        """A type-BC frame with a control command; `fields` are those of any frame."""
        return cls(
            spacecraft_id=spacecraft_id,
            virtual_channel_id=virtual_channel_id,
            transfer_frame_data_unit=command.encode(),
            bypass_flag=1,
            control_command_flag=1,
            **fields,  # type: ignore[arg-type]
        )

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        segment_header_present: bool,
        frame_error_control_present: bool,
        check: bool = True,
    ) -> Self:
        """The frame that `octets` are, exactly.

        Args:   segment_header_present: managed, per virtual channel; frames with control commands never have one.
                frame_error_control_present: managed; nothing in the frame tells.
                check: False keeps a frame whose error control field does not verify (see `is_intact`).
        Raises: IntegrityError: the error control field does not verify.
                FieldError: another version, the reserved combination of the two flags, or octets left over.
                TruncatedError: fewer octets than the length field promises, or no room for the data.
        """
        frame, rest = cls.decode_from(
            octets,
            segment_header_present=segment_header_present,
            frame_error_control_present=frame_error_control_present,
            check=check,
        )
        if rest:
            end = len(octets) - len(rest)
            clause = PRIMARY_HEADER.clause("frame_length")
            raise FieldError(f"{len(rest)} octets follow the frame", unit=UNIT, octet_offset=end, clause=clause)
        return frame

    @classmethod
    def decode_from(
        cls,
        octets: Octets,
        *,
        segment_header_present: bool,
        frame_error_control_present: bool,
        check: bool = True,
    ) -> tuple[Self, memoryview]:
        """Cut one frame off the front of `octets`, by its length field; return it and what follows it (fill, say)."""
        version, bypass, control, spare, spacecraft, channel, length, number = _header(octets)
        whole = length + 1
        begin = PRIMARY_HEADER.octets
        has_segment = segment_header_present and not control
        end = whole - _CHECK_OCTETS * frame_error_control_present
        view = memoryview(octets)
        if end <= begin or whole > len(view):
            raise _no_room(len(view), whole, frame_error_control_present)
        received = _verify(view[:whole], end, check) if frame_error_control_present else None
        if version or (control and not bypass):
            raise _forbidden(version)
        flags = map_id = None
        if has_segment:
            sequence, map_id = SEGMENT_HEADER.values(view, begin)
            flags = _SEQUENCE_FLAGS[sequence]
            begin += SEGMENT_HEADER.octets
        data = bytes(view[begin:end])
        frame = _make(
            spacecraft,
            channel,
            data,
            number,
            bypass,
            control,
            flags,
            map_id,
            frame_error_control_present,
            spare,
            version,
            received,
        )
        return frame, view[whole:]

    def _protected(self) -> bytes:
        """The frame without its error control field."""
        parts = [_pack(*_header_values(self))]
        if self.map_id is not None:
            parts.append(SEGMENT_HEADER.pack_values(self.sequence_flags, self.map_id))
        parts.append(self.transfer_frame_data_unit)
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


_make = maker(TcTransferFrame)
_make_unlock = maker(Unlock)
_make_set_v_r = maker(SetVr)
_header = PRIMARY_HEADER.values
_pack = PRIMARY_HEADER.pack_values
_header_values = attrgetter(*PRIMARY_HEADER.names)


def _whole(cls: Any, octets: Octets) -> Any:
    command, rest = cls.decode_from(octets)
    if rest:
        end = len(octets) - len(rest)
        raise FieldError(
            f"{len(rest)} octets follow the command",
            unit=_COMMAND_UNIT,
            octet_offset=end,
            clause=f"{DOCUMENT} §4.1.3.3",
        )
    return command


def _no_command(message: str, layout: Layout) -> FieldError:
    clause = layout.clause(layout.names[0])
    return FieldError(message, unit=_COMMAND_UNIT, octet_offset=0, clause=clause)


def _refuse(name: str, why: str) -> None:
    raise EncodeError(f"{UNIT}: {name} {why} [{PRIMARY_HEADER.clause(name)}]")


def _verify(frame: memoryview, at: int, check: bool) -> int | None:
    """The error control field of a frame where it is wrong; None where it is right."""
    if not frame_error_control(frame):
        return None
    if check:
        message = "error control field does not verify"
        raise IntegrityError(message, unit=UNIT, octet_offset=at, clause=f"{DOCUMENT} §4.1.4")
    return int.from_bytes(frame[at:], "big")


def _no_room(given: int, whole: int, frame_error_control_present: bool) -> TruncatedError:
    clause = PRIMARY_HEADER.clause("frame_length")
    if whole > given:
        message = f"length field asks for {whole} octets, {given} given"
    else:
        around = PRIMARY_HEADER.octets + _CHECK_OCTETS * frame_error_control_present
        message = f"length field asks for {whole} octets, and {around} of them are not data"
    return TruncatedError(message, unit=UNIT, octet_offset=2, clause=clause)


def _forbidden(version: int) -> FieldError:
    if version:
        name, message = "transfer_frame_version_number", f"version number {version} is not 0"
    else:
        name, message = "control_command_flag", "control command with a bypass flag of 0 is reserved"
    return FieldError(message, unit=UNIT, octet_offset=0, clause=PRIMARY_HEADER.clause(name))
