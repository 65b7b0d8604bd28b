"""PUS-C telecommand and telemetry packets: secondary headers and packet error control.  Source: ECSS-E-ST-70-41C, 7.4.

A layer on top of the Space Packet, for missions that use it.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from operator import mul
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from ccsds._unit import Unit, maker, require_octets, write_into
from ccsds.errors import DecodeError, EncodeError, FieldError, IntegrityError, TruncatedError
from ccsds.frames.error_control import frame_error_control
from ccsds.layout import Field, Layout, Octets
from ccsds.packets import space_packet
from ccsds.packets.space_packet import PacketType, SequenceFlags, SpacePacket

__all__ = [
    "PUS_VERSION_NUMBER",
    "TELECOMMAND_SECONDARY_HEADER",
    "TELEMETRY_SECONDARY_HEADER",
    "Acknowledgement",
    "PacketErrorControl",
    "PusTelecommand",
    "PusTelemetry",
    "compute_packet_error_control",
    "iso_checksum",
]

DOCUMENT = "ECSS-E-ST-70-41C"
TELECOMMAND_SECONDARY_HEADER = Layout(
    "PUS telecommand secondary header",
    DOCUMENT,
    Field("pus_version_number", 4, "7.4.4.1"),
    Field("acknowledgement_flags", 4, "7.4.4.1"),
    Field("service_type_id", 8, "7.4.4.1"),
    Field("message_subtype_id", 8, "7.4.4.1"),
    Field("source_id", 16, "7.4.4.1"),
)
TELEMETRY_SECONDARY_HEADER = Layout(
    "PUS telemetry secondary header",
    DOCUMENT,
    Field("pus_version_number", 4, "7.4.3.1"),
    Field("spacecraft_time_reference_status", 4, "7.4.3.1"),
    Field("service_type_id", 8, "7.4.3.1"),
    Field("message_subtype_id", 8, "7.4.3.1"),
    Field("message_type_counter", 16, "7.4.3.1"),
    Field("destination_id", 16, "7.4.3.1"),
)
PUS_VERSION_NUMBER: Final = 2
_CHECK_OCTETS = 2


class Acknowledgement(IntFlag):
    """Which reports of success a telecommand asks for (7.4.4.1 d)."""

    ACCEPTANCE = 1
    START = 2
    PROGRESS = 4
    COMPLETION = 8


class PacketErrorControl(IntEnum):
    """What the last two octets of a packet are; managed, nothing in the packet tells (annex B)."""

    NONE = 0
    CRC = 1
    ISO_CHECKSUM = 2


def iso_checksum(octets: Octets) -> int:
    """The ISO checksum of octets, as 16 bits (annex B.2).  Neither of its octets is ever zero."""
    count = len(octets)
    first: int = sum(octets) % 255
    second: int = sum(map(mul, range(count, 0, -1), octets)) % 255  # the first octet is in every running sum
    return (255 - (first + second) % 255) << 8 | (second or 255)


class _PusPacket(Unit, frozen=True):
    """What telecommand and telemetry packets share; the subclasses declare the fields."""

    NAME: ClassVar[str] = ""
    TYPE: ClassVar[PacketType] = PacketType.TELEMETRY
    LAYOUT: ClassVar[Layout] = TELEMETRY_SECONDARY_HEADER

    if TYPE_CHECKING:  # what the subclasses have as fields

        @property
        def application_process_id(self) -> int: ...
        @property
        def packet_sequence_count(self) -> int: ...
        @property
        def sequence_flags(self) -> SequenceFlags: ...
        @property
        def packet_error_control(self) -> PacketErrorControl: ...
        @property
        def received_packet_error_control_field(self) -> int | None: ...

    def _header(self) -> bytes:
        return self.LAYOUT.pack_values(PUS_VERSION_NUMBER, *[getattr(self, name) for name in self.LAYOUT.names[1:]])

    def _data(self) -> bytes:
        """The packet data field without its error control."""
        raise NotImplementedError

    def _protected(self) -> bytes:
        data = self._data()
        control = self.packet_error_control
        return (
            space_packet.PRIMARY_HEADER.pack_values(
                0,
                self.TYPE,
                1,
                self.application_process_id,
                self.sequence_flags,
                self.packet_sequence_count,
                len(data) - 1 + _CHECK_OCTETS * (control != PacketErrorControl.NONE),
            )
            + data
        )

    @property
    def packet_error_control_field(self) -> int | None:
        """The error control field as it is encoded; None in a packet without one."""
        if self.packet_error_control == PacketErrorControl.NONE:
            return None
        received = self.received_packet_error_control_field
        return (
            compute_packet_error_control(self.packet_error_control, self._protected()) if received is None else received
        )

    @property
    def is_intact(self) -> bool:
        """False when the packet was decoded with `check=False` and its error control field does not verify."""
        received = self.received_packet_error_control_field
        return received is None or received == compute_packet_error_control(
            self.packet_error_control, self._protected()
        )

    @property
    def space_packet(self) -> SpacePacket:
        """The same as a space packet.  Raises EncodeError: it is none."""
        return SpacePacket.decode(self.encode())

    def __len__(self) -> int:
        octets = space_packet.PRIMARY_HEADER.octets + len(self._data())
        return octets if self.packet_error_control == PacketErrorControl.NONE else octets + _CHECK_OCTETS

    def _check(self, *names: str) -> None:
        for name in names:
            require_octets(self.NAME, name, getattr(self, name))
        self.LAYOUT.check({name: getattr(self, name) for name in self.LAYOUT.names[1:]})
        if self.packet_error_control not in tuple(PacketErrorControl):
            raise EncodeError(f"{self.NAME}: packet_error_control is 0, 1 or 2 [{DOCUMENT} §B]")
        received = self.received_packet_error_control_field
        if received is not None:
            if self.packet_error_control == PacketErrorControl.NONE:
                raise EncodeError(f"{self.NAME}: a packet without error control has received none")
            if not isinstance(received, int) or not 0 <= received <= 0xFFFF:
                raise EncodeError(f"{self.NAME}: received_packet_error_control_field is {received!r}, not 0 to 65535")
        if len(self) > space_packet.MAXIMUM_OCTETS:
            raise EncodeError(f"{self.NAME}: {len(self)} octets are more than a space packet has [{DOCUMENT} §7.4]")
        space_packet.PRIMARY_HEADER.check(
            {
                name: getattr(self, name)
                for name in ("application_process_id", "sequence_flags", "packet_sequence_count")
            }
        )
        if self.application_process_id == space_packet.IDLE_APPLICATION_PROCESS_ID:
            raise EncodeError(f"{self.NAME}: an idle packet has no secondary header [{DOCUMENT} §7.4]")

    @classmethod
    def _open(cls, octets: Octets, control: PacketErrorControl, spare_octets: int, check: bool) -> _Opened:
        """The packet, verified; its secondary header; the data after header and spare; where they begin."""
        if control not in tuple(PacketErrorControl) or spare_octets < 0:
            raise ValueError("packet_error_control is 0, 1 or 2, and octets are 0 or more")
        packet = SpacePacket.decode(octets)
        end = len(octets) - _CHECK_OCTETS * (control != PacketErrorControl.NONE)
        begin = space_packet.PRIMARY_HEADER.octets + cls.LAYOUT.octets + spare_octets
        if end < begin:
            message = f"{begin} octets of headers and {len(octets) - end} of error control, {len(octets)} given"
            raise TruncatedError(message, unit=cls.NAME, octet_offset=len(octets), clause=f"{DOCUMENT} §7.4")
        received = None
        if control != PacketErrorControl.NONE:
            received = _verify(cls.NAME, octets, end, control, check)
        values = cls.LAYOUT.values(octets, space_packet.PRIMARY_HEADER.octets)
        _require_pus(cls, packet, values[0])
        return _Opened(packet, values[1:], bytes(memoryview(octets)[begin:end]), received, begin)

    def encode(self) -> bytes:
        """The octets of the packet.  Raises EncodeError where a field does not fit."""
        octets = self._protected()
        control = self.packet_error_control
        if control == PacketErrorControl.NONE:
            return octets
        received = self.received_packet_error_control_field
        field = compute_packet_error_control(control, octets) if received is None else received
        return octets + field.to_bytes(_CHECK_OCTETS, "big")

    def encode_into(self, out: bytearray | memoryview) -> int:
        """Write the packet at the start of `out`; return the octets written.  Raises EncodeError: no room."""
        return write_into(self.NAME, self.encode(), out)


class PusTelecommand(_PusPacket, frozen=True):
    """One telecommand packet with a PUS-C secondary header.

    The error control field is computed; `received_packet_error_control_field` holds one that does not verify, kept by
    `decode(check=False)` and given back by `encode`.
    """

    NAME: ClassVar[str] = "PUS telecommand packet"
    TYPE: ClassVar[PacketType] = PacketType.TELECOMMAND
    LAYOUT: ClassVar[Layout] = TELECOMMAND_SECONDARY_HEADER
    ALIASES: ClassVar[dict[str, str]] = {"apid": "application_process_id"}

    application_process_id: int
    service_type_id: int
    message_subtype_id: int
    application_data: bytes = b""
    packet_sequence_count: int = 0
    source_id: int = 0
    acknowledgement_flags: int = 0
    spare: bytes = b""
    packet_error_control: PacketErrorControl = PacketErrorControl.CRC
    sequence_flags: SequenceFlags = SequenceFlags.UNSEGMENTED
    received_packet_error_control_field: int | None = None

    @property
    def apid(self) -> int:
        """Shorthand for application_process_id."""
        return self.application_process_id

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this packet back from its octets."""
        return {"packet_error_control": self.packet_error_control, "spare_octets": len(self.spare)}

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        self._check("application_data", "spare")

    def _data(self) -> bytes:
        return self._header() + self.spare + self.application_data

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        packet_error_control: PacketErrorControl = PacketErrorControl.CRC,
        spare_octets: int = 0,
        check: bool = True,
    ) -> Self:
        """The packet that `octets` are, exactly.

        Args:   packet_error_control, spare_octets: managed.
                check: False keeps a packet whose error control field does not verify (see `is_intact`).
        Raises: IntegrityError: the error control field does not verify.
                FieldError: no telecommand, no secondary header, another PUS version, or as SpacePacket.decode.
                TruncatedError: fewer octets than the length field promises, or no room for the headers.
        """
        control = packet_error_control
        packet, (flags, service, subtype, source), data, received, begin = cls._open(
            octets, control, spare_octets, check
        )
        spare = bytes(memoryview(octets)[begin - spare_octets : begin])
        return _make_telecommand(  # type: ignore[no-any-return]
            packet.application_process_id,
            service,
            subtype,
            data,
            packet.packet_sequence_count,
            source,
            flags,
            spare,
            PacketErrorControl(control),
            packet.sequence_flags,
            received,
        )

    @classmethod
    def decode_from(cls, octets: Octets, **managed: Any) -> tuple[Self, memoryview]:
        """Cut one packet off the front of `octets`; return it and the octets that follow it.

        `managed`: the keywords of `decode`.
        """
        whole, rest = _cut(octets)
        return cls.decode(whole, **managed), rest


class PusTelemetry(_PusPacket, frozen=True):
    """One telemetry packet with a PUS-C secondary header; `time` is that of the mission, mostly CUC or CDS.

    The error control field is as in PusTelecommand.
    """

    NAME: ClassVar[str] = "PUS telemetry packet"
    TYPE: ClassVar[PacketType] = PacketType.TELEMETRY
    LAYOUT: ClassVar[Layout] = TELEMETRY_SECONDARY_HEADER
    ALIASES: ClassVar[dict[str, str]] = {"apid": "application_process_id"}

    application_process_id: int
    service_type_id: int
    message_subtype_id: int
    time: bytes
    source_data: bytes = b""
    packet_sequence_count: int = 0
    message_type_counter: int = 0
    destination_id: int = 0
    spacecraft_time_reference_status: int = 0
    spare: bytes = b""
    packet_error_control: PacketErrorControl = PacketErrorControl.CRC
    sequence_flags: SequenceFlags = SequenceFlags.UNSEGMENTED
    received_packet_error_control_field: int | None = None

    @property
    def apid(self) -> int:
        """Shorthand for application_process_id."""
        return self.application_process_id

    @property
    def managed_parameters(self) -> dict[str, Any]:
        """The keywords with which `decode` gives this packet back from its octets."""
        return {
            "packet_error_control": self.packet_error_control,
            "time_octets": len(self.time),
            "spare_octets": len(self.spare),
        }

    def check(self) -> None:
        """Raise EncodeError where a value does not fit or the clause forbids it."""
        self._check("time", "source_data", "spare")

    def _data(self) -> bytes:
        return self._header() + self.time + self.spare + self.source_data

    @classmethod
    def decode(
        cls,
        octets: Octets,
        *,
        time_octets: int,
        packet_error_control: PacketErrorControl = PacketErrorControl.CRC,
        spare_octets: int = 0,
        check: bool = True,
    ) -> Self:
        """The packet that `octets` are, exactly.

        Args:   time_octets: managed: octets of the time in the secondary header.  The others: as PusTelecommand.decode.
        Raises: as PusTelecommand.decode.
        """
        if time_octets < 0:
            raise ValueError(f"time_octets is {time_octets}, not 0 or more")
        control = packet_error_control
        packet, (status, service, subtype, counter, destination), data, received, begin = cls._open(
            octets, control, time_octets + spare_octets, check
        )
        view, time_at = memoryview(octets), begin - time_octets - spare_octets
        return _make_telemetry(  # type: ignore[no-any-return]
            packet.application_process_id,
            service,
            subtype,
            bytes(view[time_at : time_at + time_octets]),
            data,
            packet.packet_sequence_count,
            counter,
            destination,
            status,
            bytes(view[time_at + time_octets : begin]),
            PacketErrorControl(control),
            packet.sequence_flags,
            received,
        )

    @classmethod
    def decode_from(cls, octets: Octets, *, time_octets: int, **managed: Any) -> tuple[Self, memoryview]:
        """Cut one packet off the front of `octets`; return it and the octets that follow it.

        `managed`: the other keywords of `decode`.
        """
        whole, rest = _cut(octets)
        return cls.decode(whole, time_octets=time_octets, **managed), rest


class _Opened(NamedTuple):
    packet: SpacePacket
    values: tuple[int, ...]
    data: bytes
    received: int | None
    data_at: int


_make_telecommand = maker(PusTelecommand)
_make_telemetry = maker(PusTelemetry)


def _cut(octets: Octets) -> tuple[memoryview, memoryview]:
    _, rest = SpacePacket.decode_from(octets)
    view = memoryview(octets)
    return view[: len(view) - len(rest)], rest


def compute_packet_error_control(control: PacketErrorControl, octets: Octets) -> int:
    """The error control field for octets without one, a CRC or an ISO checksum."""
    return frame_error_control(octets) if control == PacketErrorControl.CRC else iso_checksum(octets)


def _verify(unit: str, octets: Octets, at: int, control: PacketErrorControl, check: bool) -> int | None:
    """The error control field where it is wrong; None where it is right."""
    view = memoryview(octets)
    found, expected = int.from_bytes(view[at:], "big"), compute_packet_error_control(control, view[:at])
    if found == expected:
        return None
    if check:
        name = "CRC" if control == PacketErrorControl.CRC else "ISO checksum"
        message = f"{name} is {found:#06x}, {expected:#06x} expected"
        raise IntegrityError(message, unit=unit, octet_offset=at, clause=f"{DOCUMENT} §B")
    return found


def _require_pus(cls: type[_PusPacket], packet: SpacePacket, version: int) -> None:
    """Raise FieldError where a space packet is not one of this type with a PUS-C secondary header."""
    header = space_packet.PRIMARY_HEADER
    if packet.packet_type != cls.TYPE:
        raise _wrong(cls, f"packet type {packet.packet_type} is not {cls.TYPE}", 0, header.clause("packet_type"))
    if not packet.secondary_header_flag or packet.is_idle:
        raise _wrong(cls, "no secondary header", 0, header.clause("secondary_header_flag"))
    if version != PUS_VERSION_NUMBER:
        clause = cls.LAYOUT.clause("pus_version_number")
        raise _wrong(cls, f"PUS version number {version} is not {PUS_VERSION_NUMBER}", header.octets, clause)


def _wrong(cls: type[_PusPacket], message: str, octet_offset: int, clause: str) -> DecodeError:
    return FieldError(message, unit=cls.NAME, octet_offset=octet_offset, clause=clause)
