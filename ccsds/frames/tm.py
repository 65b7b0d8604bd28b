"""TM Transfer Frame: codec of the whole frame.  Source: CCSDS 132.0-B-3, section 4.1."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.error_control import frame_error_control
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
    "MAXIMUM_OCTETS",
    "NO_PACKET_START",
    "ONLY_IDLE_DATA",
    "PRIMARY_HEADER",
    "SECONDARY_HEADER",
    "TmTransferFrame",
]

DOCUMENT = "CCSDS 132.0-B-3"
UNIT = "TM transfer frame"
PRIMARY_HEADER = Layout(
    "TM transfer frame primary header",
    DOCUMENT,
    Field("transfer_frame_version_number", 2, "4.1.2.2.2"),
    Field("spacecraft_id", 10, "4.1.2.2.3"),
    Field("virtual_channel_id", 3, "4.1.2.3"),
    Field("operational_control_field_flag", 1, "4.1.2.4"),
    Field("master_channel_frame_count", 8, "4.1.2.5"),
    Field("virtual_channel_frame_count", 8, "4.1.2.6"),
    Field("secondary_header_flag", 1, "4.1.2.7.2"),
    Field("synchronization_flag", 1, "4.1.2.7.3"),
    Field("packet_order_flag", 1, "4.1.2.7.4"),
    Field("segment_length_id", 2, "4.1.2.7.5"),
    Field("first_header_pointer", 11, "4.1.2.7.6"),
)
SECONDARY_HEADER = Layout(
    "TM transfer frame secondary header identification",
    DOCUMENT,
    Field("secondary_header_version_number", 2, "4.1.3.2.2"),
    Field("secondary_header_length", 6, "4.1.3.2.3"),  # octets of the secondary header, minus 1
)
NO_PACKET_START: Final = 0b11111111111
"""First header pointer of a frame in which no packet starts (4.1.2.7.6.4)."""
ONLY_IDLE_DATA: Final = 0b11111111110
"""First header pointer of a frame that carries only idle data (4.1.2.7.6.5)."""
MAXIMUM_OCTETS: Final = 2048
_CHECK_OCTETS = 2


class TmTransferFrame(Unit, frozen=True):
    """One TM transfer frame.

    `secondary_header_data_field` and `operational_control_field` are None where the frame has none.  The frame error
    control field is computed; `received_frame_error_control_field` holds one that does not verify, kept by
    `decode(check=False)` and given back by `encode`.  `stated_secondary_header_length` likewise holds a length field
    that lies.
    """

    ALIASES: ClassVar[dict[str, str]] = {
        "scid": "spacecraft_id",
        "vcid": "virtual_channel_id",
        "fhp": "first_header_pointer",
        "ocf": "operational_control_field",
        "fecf": "received_frame_error_control_field",
    }

    spacecraft_id: int
    virtual_channel_id: int
    first_header_pointer: int
    transfer_frame_data_field: bytes
    master_channel_frame_count: int = 0
    virtual_channel_frame_count: int = 0
    secondary_header_data_field: bytes | None = None
    operational_control_field: bytes | None = None
    frame_error_control_present: bool = False
    synchronization_flag: int = 0
    packet_order_flag: int = 0
    segment_length_id: int = 3
    transfer_frame_version_number: int = 0
    secondary_header_version_number: int = 0
    stated_secondary_header_length: int | None = None
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
    def fhp(self) -> int:
        """Shorthand for first_header_pointer."""
        return self.first_header_pointer

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
        if self.received_frame_error_control_field is not None:
            return self.received_frame_error_control_field
        return frame_error_control(self._protected())

    @property
    def is_intact(self) -> bool:
        """False when the frame was decoded with `check=False` and its error control field does not verify."""
        received = self.received_frame_error_control_field
        return received is None or received == frame_error_control(self._protected())

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this frame back from its octets."""
        data = self.secondary_header_data_field
        lies = data is not None and self.stated_secondary_header_length is not None
        return {
            "frame_error_control_present": self.frame_error_control_present,
            "secondary_header_octets": SECONDARY_HEADER.octets + len(data) if lies and data is not None else None,
        }

    @property
    def operational_control_field_flag(self) -> int:
        """1 where the frame has an operational control field."""
        return int(self.operational_control_field is not None)

    @property
    def secondary_header_flag(self) -> int:
        """1 where the frame has a secondary header."""
        return int(self.secondary_header_data_field is not None)

    @property
    def secondary_header_length(self) -> int | None:
        """The length field of the secondary header: its octets minus 1; None where there is none."""
        data = self.secondary_header_data_field
        if data is None or self.stated_secondary_header_length is not None:
            return self.stated_secondary_header_length
        return len(data)

    @property
    def is_only_idle_data(self) -> bool:
        """True where the pointer says that nothing is carried; with synchronization flag 1 there is no pointer."""
        return self.first_header_pointer == ONLY_IDLE_DATA and not self.synchronization_flag

    @property
    def control_word(self) -> Clcw | Type2Report | None:
        """The operational control field decoded; None where there is none.  Raises DecodeError as Clcw.decode."""
        field = self.operational_control_field
        return None if field is None else decode_operational_control_field(field)

    def __len__(self) -> int:
        """Octets of the encoded frame."""
        octets = PRIMARY_HEADER.octets + len(self.transfer_frame_data_field)
        if self.secondary_header_data_field is not None:
            octets += SECONDARY_HEADER.octets + len(self.secondary_header_data_field)
        octets += CONTROL_OCTETS * self.operational_control_field_flag
        return octets + _CHECK_OCTETS * self.frame_error_control_present

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        require_octets(UNIT, "transfer_frame_data_field", self.transfer_frame_data_field)
        if self.transfer_frame_version_number != 0:
            _refuse("transfer_frame_version_number", "is 0")
        if self.operational_control_field is not None:
            require_operational_control_field(UNIT, self.operational_control_field)
        if self.secondary_header_data_field is not None:
            self._check_secondary_header(self.secondary_header_data_field)
        elif self.stated_secondary_header_length is not None or self.secondary_header_version_number:
            raise EncodeError(f"{UNIT}: without a secondary header there is no length or version of it")
        PRIMARY_HEADER.check({name: getattr(self, name) for name in PRIMARY_HEADER.names})
        self._check_status()
        self._check_error_control()
        if not self.transfer_frame_data_field or len(self) > MAXIMUM_OCTETS:
            raise EncodeError(
                f"{UNIT}: a frame has at least one octet of data and at most {MAXIMUM_OCTETS} octets in all, "
                f"not {len(self.transfer_frame_data_field)} and {len(self)} [{DOCUMENT} §4.1.1]"
            )

    def _check_secondary_header(self, data: bytes) -> None:
        require_octets(UNIT, "secondary_header_data_field", data)
        if not 1 <= len(data) <= SECONDARY_HEADER["secondary_header_length"].maximum:
            raise EncodeError(
                f"{UNIT}: a secondary header has 1 to 63 octets of data, not {len(data)} [{DOCUMENT} §4.1.3.3]"
            )
        stated = self.stated_secondary_header_length
        SECONDARY_HEADER.check(
            {
                "secondary_header_version_number": self.secondary_header_version_number,
                "secondary_header_length": len(data) if stated is None else stated,
            }
        )

    def _check_status(self) -> None:
        """The rules between the synchronization flag and what follows it."""
        if self.synchronization_flag:
            return
        if self.packet_order_flag:
            _refuse("packet_order_flag", "is 0 while the synchronization flag is 0")
        if self.segment_length_id != 3:
            _refuse("segment_length_id", "is 3 while the synchronization flag is 0")
        pointer = self.first_header_pointer
        if pointer not in (NO_PACKET_START, ONLY_IDLE_DATA) and pointer >= len(self.transfer_frame_data_field):
            _refuse(
                "first_header_pointer", f"{pointer} points behind {len(self.transfer_frame_data_field)} octets of data"
            )

    def _check_error_control(self) -> None:
        received = self.received_frame_error_control_field
        if received is None:
            return
        if not self.frame_error_control_present:
            raise EncodeError(f"{UNIT}: a frame without error control has received none [{DOCUMENT} §4.1.6]")
        if not isinstance(received, int) or not 0 <= received <= 0xFFFF:
            raise EncodeError(f"{UNIT}: received_frame_error_control_field is {received!r}, not 0 to 65535")

    @classmethod
    def only_idle_data(
        cls, *, spacecraft_id: int, virtual_channel_id: int, data_octets: int, fill: OnlyIdleDataFill, **fields: object
    ) -> Self:
        """A frame that carries nothing, with `data_octets` octets of fill; `fields` are those of any frame."""
        return cls(
            spacecraft_id=spacecraft_id,
            virtual_channel_id=virtual_channel_id,
            first_header_pointer=ONLY_IDLE_DATA,
            transfer_frame_data_field=fill.take(data_octets),
            **fields,  # type: ignore[arg-type]
        )

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        frame_error_control_present: bool,
        secondary_header_octets: int | None = None,
        check: bool = True,
    ) -> Self:
        """The frame that `octets` are, exactly.

        Args:   frame_error_control_present: managed; nothing in the frame tells.
                secondary_header_octets: managed; the whole secondary header, where its length field lies.
                check: False keeps a frame whose error control field does not verify (see `is_intact`).
        Raises: IntegrityError: the error control field does not verify.  FieldError: another version.
                TruncatedError: no room for what the header promises and one octet of data.
        """
        values = _header(octets)
        end = len(octets)
        received = None
        if frame_error_control_present:
            end -= _CHECK_OCTETS
            if end >= PRIMARY_HEADER.octets and frame_error_control(octets):
                if check:
                    clause = f"{DOCUMENT} §4.1.6"
                    raise IntegrityError(
                        "error control field does not verify", unit=UNIT, octet_offset=end, clause=clause
                    )
                received = int.from_bytes(memoryview(octets)[end:], "big")
        version, spacecraft, channel, has_control, master, count, has_secondary, *status, pointer = values
        if version:
            clause = PRIMARY_HEADER.clause("transfer_frame_version_number")
            raise FieldError(f"version number {version} is not 0", unit=UNIT, octet_offset=0, clause=clause)
        if has_control:
            end -= CONTROL_OCTETS
        begin, secondary_version, stated = PRIMARY_HEADER.octets, 0, None
        if has_secondary:
            secondary_version, begin, stated = _secondary_header(octets, secondary_header_octets)
        if end <= begin:
            raise _no_room(len(octets), begin, len(octets) - end)
        view = memoryview(octets)
        return _make(  # type: ignore[no-any-return]
            spacecraft,
            channel,
            pointer,
            bytes(view[begin:end]),
            master,
            count,
            bytes(view[PRIMARY_HEADER.octets + 1 : begin]) if has_secondary else None,
            bytes(view[end : end + CONTROL_OCTETS]) if has_control else None,
            frame_error_control_present,
            *status,
            version,
            secondary_version,
            stated,
            received,
        )

    @classmethod
    def decode_from(
        cls,
        octets: Octets,
        *,
        transfer_frame_octets: int,
        frame_error_control_present: bool,
        secondary_header_octets: int | None = None,
        check: bool = True,
    ) -> tuple[Self, memoryview]:
        """Cut one frame of `transfer_frame_octets` off the front of `octets`; return it and what follows it."""
        view = memoryview(octets)
        if len(view) < transfer_frame_octets:
            message = f"a frame has {transfer_frame_octets} octets, {len(view)} given"
            raise TruncatedError(message, unit=UNIT, octet_offset=len(view), clause=f"{DOCUMENT} §4.1.1")
        frame = cls.decode(
            view[:transfer_frame_octets],
            frame_error_control_present=frame_error_control_present,
            secondary_header_octets=secondary_header_octets,
            check=check,
        )
        return frame, view[transfer_frame_octets:]

    def _protected(self) -> bytes:
        """The frame without its error control field."""
        parts = [_pack(*[getattr(self, name) for name in PRIMARY_HEADER.names])]
        data, control = self.secondary_header_data_field, self.operational_control_field
        if data is not None:
            parts += [
                SECONDARY_HEADER.pack_values(self.secondary_header_version_number, self.secondary_header_length),
                data,
            ]
        parts.append(self.transfer_frame_data_field)
        if control is not None:
            parts.append(control)
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


_make = maker(TmTransferFrame)
_header = PRIMARY_HEADER.values
_pack = PRIMARY_HEADER.pack_values


def _refuse(name: str, rule: str) -> None:
    raise EncodeError(f"{UNIT}: {name} {rule} [{PRIMARY_HEADER.clause(name)}]")


def _secondary_header(octets: Octets, managed_octets: int | None) -> tuple[int, int, int | None]:
    """Version of the secondary header, where the data field begins, and the length field if it lies."""
    at, stated = PRIMARY_HEADER.octets, None
    version, length = SECONDARY_HEADER.values(octets, at)
    if managed_octets is not None and managed_octets != length + 1:
        stated, length = length, managed_octets - 1
    if length < 1:
        clause = SECONDARY_HEADER.clause("secondary_header_length")
        message = f"a secondary header of {length + 1} octets has no data"
        raise FieldError(message, unit=UNIT, octet_offset=at, clause=clause)
    return version, at + 1 + length, stated


def _no_room(given: int, before: int, after: int) -> TruncatedError:
    message = f"{before} octets before the data and {after} after it leave no data in {given}"
    return TruncatedError(message, unit=UNIT, octet_offset=given, clause=f"{DOCUMENT} §4.1.1")
