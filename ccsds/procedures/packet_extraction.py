"""Packet extraction from the packet zones of one virtual channel.  Source: CCSDS 132.0-B-3, 4.3.2; 732.0-B-5, 4.3.2.

The slow and obvious form, one object per packet.  Volume goes through `ccsds.link`, which is held equal to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from ccsds.errors import ConfigurationError, DecodeError, FieldError, TruncatedError
from ccsds.layout import Octets
from ccsds.packets import encapsulation_packet, space_packet
from ccsds.packets.encapsulation_packet import HEADERS as ENCAPSULATION_HEADERS

__all__ = ["ExtractedPacket", "ExtractionCounters", "ExtractionParameters", "PacketExtractor", "packet_length"]

KNOWN_VERSIONS: Final = frozenset({0, encapsulation_packet.PACKET_VERSION_NUMBER})


class ExtractionParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a mission may choose.  `maximum_packet_octets` None: as much as the length fields can state."""

    valid_packet_versions: frozenset[int] = KNOWN_VERSIONS
    maximum_packet_octets: int | None = None
    deliver_incomplete_packets: bool = False
    first_header_pointer_bits: int = 11
    """11 in TM and up to issue 4 of AOS, 16 since issue 5 and in USLP; all ones: no packet starts"""
    only_idle_data_pointer: bool = True
    """one less than all ones says that the zone has only idle data; in USLP it has no such meaning"""

    def __post_init__(self) -> None:
        unknown = set(self.valid_packet_versions) - KNOWN_VERSIONS
        if unknown:
            raise ConfigurationError(
                f"valid_packet_versions: {sorted(unknown)} have no known length; known are {sorted(KNOWN_VERSIONS)}"
            )
        if self.first_header_pointer_bits not in (11, 16):
            raise ConfigurationError(f"first_header_pointer_bits is {self.first_header_pointer_bits}, not 11 or 16")
        if self.maximum_packet_octets is not None and self.maximum_packet_octets < 1:
            raise ConfigurationError(f"maximum_packet_octets is {self.maximum_packet_octets}, not 1 or more")


class ExtractionCounters(msgspec.Struct, kw_only=True):
    """The account of one virtual channel; zones are those that were fed."""

    zones: int = 0
    only_idle_data_zones: int = 0
    zones_without_packet_start: int = 0
    pointer_matches: int = 0
    """pointers that agree with the packet before them: it ends there (where it ended with its frame, there is 0)"""
    pointer_mismatches: int = 0
    """pointers that do not"""
    pointers_invalid: int = 0
    """pointers behind the end of the zone"""
    packets: int = 0
    """complete packets, idle ones not counted"""
    packet_octets: int = 0
    idle_packets: int = 0
    idle_octets: int = 0
    unknown_packet_versions: int = 0
    invalid_packets: int = 0
    """encapsulation packets with a header that cannot be"""
    oversize_packets: int = 0
    """packets that state more than the maximum length"""
    dropped_gap: int = 0
    dropped_mismatch: int = 0
    dropped_pointer_invalid: int = 0
    dropped_end: int = 0


class ExtractedPacket(NamedTuple):
    """A packet, and where it comes from."""

    octets: bytes
    """the whole packet; of an incomplete one what there is, at most its length"""
    is_complete: bool
    frame_index: int
    """index, from 0, of the zone in which it starts, among all zones that were fed"""
    gap_before: bool
    """True for the first packet that starts after a gap: packets may be missing before it"""
    is_idle: bool


class _Progress:
    """A packet that has begun and not ended."""

    __slots__ = ("frame_index", "gap_before", "octets")

    def __init__(self, octets: Octets, frame_index: int, gap_before: bool) -> None:
        self.octets = bytearray(octets)
        self.frame_index = frame_index
        self.gap_before = gap_before


def packet_length(octets: Octets) -> int | None:
    """Octets of the packet that starts here, by its header; None while the header is cut off.

    Raises: FieldError: a packet version without a known length, or an encapsulation header that cannot be.
    """
    if not octets:
        return None
    version = octets[0] >> 5
    try:
        if version == 0:
            return space_packet.PRIMARY_HEADER.values(octets)[-1] + space_packet.PRIMARY_HEADER.octets + 1
        if version == encapsulation_packet.PACKET_VERSION_NUMBER:
            return _encapsulation_packet_length(octets)
    except TruncatedError:
        return None
    raise FieldError(
        f"packet version number {version} has no known length",
        unit="packet",
        octet_offset=0,
        clause=space_packet.PRIMARY_HEADER.clause("packet_version_number"),
    )


def _encapsulation_packet_length(octets: Octets) -> int:
    _, protocol, choice = ENCAPSULATION_HEADERS[0].values(octets)
    header = ENCAPSULATION_HEADERS[choice]
    if choice == 0:
        length = 1 if protocol == encapsulation_packet.IDLE_PROTOCOL_ID else 0
    else:
        length = header.values(octets)[-1]
    if length < header.octets:
        raise FieldError(
            f"packet length {length} is less than the header",
            unit=encapsulation_packet.UNIT,
            octet_offset=0,
            clause=f"{header.document} §4.1.2.8",
        )
    return length


def _is_idle(octets: bytes) -> bool:
    """True where a packet, or as much as there is of it, is an idle one."""
    if octets[0] >> 5:
        return ENCAPSULATION_HEADERS[0].values(octets)[1] == encapsulation_packet.IDLE_PROTOCOL_ID
    header = space_packet.PRIMARY_HEADER
    start = octets[: header.octets].ljust(header.octets, b"\0")
    return header.unpack(start)["application_process_id"] == space_packet.IDLE_APPLICATION_PROCESS_ID


class PacketExtractor:
    """Extraction of the packets of one virtual channel.

    The caller has dropped frames in error and repeated frames, and says where frames are missing.  Damage never raises:
    it is in `counters`.
    """

    def __init__(self, parameters: ExtractionParameters | None = None) -> None:
        self.parameters = parameters or ExtractionParameters()
        self.counters = ExtractionCounters()
        self._no_packet_start = (1 << self.parameters.first_header_pointer_bits) - 1
        self._only_idle_data = self._no_packet_start - 1 if self.parameters.only_idle_data_pointer else None
        self._progress: _Progress | None = None
        self._gap_pending = False
        self._aligned = False
        """the last packet ended with its zone, so that the next one starts the next zone"""

    def extract(
        self, zone: Octets, first_header_pointer: int, *, only_idle: bool = False, gap_before: bool = False
    ) -> list[ExtractedPacket]:
        """The packets that end in this packet zone.

        Args: first_header_pointer: counted from the first octet of `zone`.
              only_idle: the frame carries nothing (AOS virtual channel 63); a pointer of all ones but one says so too.
              gap_before: frames are missing before this one.
        """
        counters, index = self.counters, self.counters.zones
        counters.zones += 1
        out: list[ExtractedPacket] = []
        if gap_before:
            out += self.note_gap()
        if only_idle or first_header_pointer == self._only_idle_data:
            counters.only_idle_data_zones += 1
        elif first_header_pointer == self._no_packet_start:
            counters.zones_without_packet_start += 1
            self._aligned = False
            out += self._continue(zone, None)
        elif first_header_pointer < len(zone):
            if self._aligned:
                counters.pointer_matches += first_header_pointer == 0
                counters.pointer_mismatches += first_header_pointer != 0
                self._aligned = False
            out += self._continue(zone[:first_header_pointer], first_header_pointer)
            out += self._read(memoryview(zone)[first_header_pointer:], index)
        else:
            counters.pointers_invalid += 1
            self._aligned = False
            if self._progress is not None:
                counters.dropped_pointer_invalid += 1
                out += self._drop()
        return out

    def note_gap(self) -> list[ExtractedPacket]:
        """Frames are missing here: the packet in progress is dropped (and delivered, if incomplete ones are).

        For frames that have no packet zone of their own, as those of a TM channel with VCA data now and then.
        """
        self._gap_pending = True
        self._aligned = False
        if self._progress is None:
            return []
        self.counters.dropped_gap += 1
        return list(self._drop())

    def finish(self) -> list[ExtractedPacket]:
        """The end of the stream: a packet in progress is dropped (and delivered, if incomplete ones are)."""
        if self._progress is None:
            return []
        self.counters.dropped_end += 1
        return list(self._drop())

    def _continue(self, octets: Octets, pointer: int | None) -> Iterator[ExtractedPacket]:
        """Append to the packet in progress all that is before the pointer, or the whole zone where there is none."""
        progress = self._progress
        if progress is None:
            return
        progress.octets += octets
        length = self._usable_length(progress.octets)
        if length == 0:
            self._progress = None
            return
        have = len(progress.octets)
        if length == have:
            self._progress = None
            self.counters.pointer_matches += pointer is not None
            self._aligned = pointer is None
            yield self._complete(bytes(progress.octets), progress.frame_index, progress.gap_before)
        elif pointer is not None or (length is not None and length < have):
            self.counters.pointer_mismatches += pointer is not None
            self.counters.dropped_mismatch += 1
            yield from self._drop(length)

    def _read(self, zone: memoryview, index: int) -> Iterator[ExtractedPacket]:
        """Read packets from a place where one starts up to the end of the zone."""
        while zone:
            length = self._usable_length(zone)
            if length == 0:
                return
            gap, self._gap_pending = self._gap_pending, False
            if length is None or length > len(zone):
                self._progress = _Progress(zone, index, gap)
                return
            yield self._complete(bytes(zone[:length]), index, gap)
            zone = zone[length:]
        self._aligned = True

    def _usable_length(self, octets: Octets) -> int | None:
        """Length of the packet that starts here; None while unknown; 0, and counted, where it cannot be followed."""
        version = octets[0] >> 5
        if version not in self.parameters.valid_packet_versions:
            self.counters.unknown_packet_versions += 1
            return 0
        try:
            length = packet_length(octets)
        except DecodeError:
            self.counters.invalid_packets += 1
            return 0
        maximum = self.parameters.maximum_packet_octets
        if length is not None and maximum is not None and length > maximum:
            self.counters.oversize_packets += 1
            return 0
        return length

    def _complete(self, octets: bytes, frame_index: int, gap_before: bool) -> ExtractedPacket:
        counters, idle = self.counters, _is_idle(octets)
        if idle:
            counters.idle_packets += 1
            counters.idle_octets += len(octets)
        else:
            counters.packets += 1
            counters.packet_octets += len(octets)
        return ExtractedPacket(octets, True, frame_index, gap_before, idle)

    def _drop(self, length: int | None = None) -> Iterator[ExtractedPacket]:
        """Forget the packet in progress; deliver what there is of it, at most `length` octets, where that is wanted."""
        progress, self._progress = self._progress, None
        if progress is None or not self.parameters.deliver_incomplete_packets:
            return
        octets = bytes(progress.octets[:length])
        yield ExtractedPacket(octets, False, progress.frame_index, progress.gap_before, _is_idle(octets))
