"""Blocking and segmentation of packets over TC frames, and the reverse.  Source: CCSDS 232.0-B-4, 4.3.1, 4.4.1.

USLP segments in the same way (732.1-B-3, 4.2.3 and 4.3.2): its construction rules say which portion a frame holds.
No octets that arrive raise anything: damage is an event, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

import msgspec

from ccsds.errors import ConfigurationError, DecodeError, EncodeError
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import ConstructionRule, UslpTransferFrameDataField
from ccsds.layout import Octets
from ccsds.procedures.packet_extraction import ExtractedPacket, ExtractionParameters, PacketExtractor, packet_length

__all__ = [
    "DiscardReason",
    "MapDemultiplexer",
    "MapEvent",
    "OctetStreamPortion",
    "Reassembler",
    "SegmentDiscarded",
    "SegmentationCounters",
    "ServiceDataUnit",
    "UslpMapDemultiplexer",
    "block_packets",
    "packets_of",
    "segment",
]


class DiscardReason(Enum):
    """Why octets of a service data unit were thrown away."""

    NO_FIRST = "a continuing or last portion came without a first one"
    NO_LAST = "the next unit began before the last portion of this one came"
    GAP = "frames are missing within it"
    OVERSIZE = "it grew beyond the maximum length"
    END = "the stream ended within it"


class ServiceDataUnit(NamedTuple):
    """What was segmented or blocked, whole again."""

    octets: bytes
    segments: int
    """portions in which it came"""


class SegmentDiscarded(NamedTuple):
    """Octets of a unit that cannot be completed."""

    reason: DiscardReason
    octets: bytes


class SegmentationCounters(msgspec.Struct, kw_only=True):
    """The account of one MAP."""

    segments: int = 0
    units: int = 0
    unit_octets: int = 0
    discarded_no_first: int = 0
    discarded_no_last: int = 0
    discarded_gap: int = 0
    discarded_oversize: int = 0
    discarded_end: int = 0
    discarded_octets: int = 0


class OctetStreamPortion(NamedTuple):
    """The next octets of a stream that has no units."""

    octets: bytes
    gap_before: bool
    """True where frames are missing before them"""


class MapEvent(NamedTuple):
    """An event, and the MAP on which it happened; None where the virtual channel has no MAPs.

    ExtractedPacket and OctetStreamPortion come from USLP only.
    """

    map_id: int | None
    event: ServiceDataUnit | SegmentDiscarded | ExtractedPacket | OctetStreamPortion


def segment(octets: Octets, maximum_octets: int) -> list[tuple[SegmentSequenceFlags, bytes]]:
    """A service data unit as portions of at most `maximum_octets`, each with its sequence flags.

    Raises: EncodeError: nothing to send.  ConfigurationError: no room in a segment.
    """
    _require_room(maximum_octets)
    view = memoryview(octets)
    if not view:
        raise EncodeError("segmentation: a service data unit has at least one octet [CCSDS 232.0-B-4 §4.3.1]")
    if len(view) <= maximum_octets:
        return [(SegmentSequenceFlags.UNSEGMENTED, bytes(view))]
    starts = range(0, len(view), maximum_octets)
    flags = [SegmentSequenceFlags.CONTINUING] * len(starts)
    flags[0], flags[-1] = SegmentSequenceFlags.FIRST, SegmentSequenceFlags.LAST
    return [(flag, bytes(view[at : at + maximum_octets])) for flag, at in zip(flags, starts, strict=True)]


def block_packets(packets: Iterable[Octets], maximum_octets: int) -> list[bytes]:
    """Packets in their order, as many in each block as fit whole.

    Raises: EncodeError: a packet is longer than a block; segment it.  ConfigurationError: no room in a block.
    """
    _require_room(maximum_octets)
    blocks: list[bytearray] = []
    for packet in packets:
        if len(packet) > maximum_octets:
            raise EncodeError(
                f"blocking: a packet of {len(packet)} octets does not fit into {maximum_octets} "
                "[CCSDS 232.0-B-4 §4.3.1]"
            )
        if not blocks or len(blocks[-1]) + len(packet) > maximum_octets:
            blocks.append(bytearray())
        blocks[-1] += packet
    return [bytes(block) for block in blocks]


def packets_of(octets: Octets) -> tuple[list[bytes], bytes]:
    """The packets that lie in a block one after the other, and the octets at its end that are no whole packet."""
    view, packets = memoryview(octets), []
    while view:
        try:
            length = packet_length(view)
        except DecodeError:
            break
        if length is None or length > len(view):
            break
        packets.append(bytes(view[:length]))
        view = view[length:]
    return packets, bytes(view)


def _require_room(maximum_octets: int) -> None:
    if maximum_octets < 1:
        raise ConfigurationError(f"maximum_octets is {maximum_octets}, not 1 or more")


class Reassembler:
    """The receiving end of one MAP, or of a virtual channel without MAPs.

    Args: maximum_octets: of a unit; None: as many as come.  Whoever listens to strangers sets it.
    """

    def __init__(self, maximum_octets: int | None = None) -> None:
        if maximum_octets is not None:
            _require_room(maximum_octets)
        self.maximum_octets = maximum_octets
        self.counters = SegmentationCounters()
        self._portions: list[bytes] = []
        self._octets = 0

    def handle_segment(
        self, flags: SegmentSequenceFlags, octets: Octets, *, gap_before: bool = False
    ) -> list[ServiceDataUnit | SegmentDiscarded]:
        """What a portion completes or spoils.  `gap_before`: frames are missing before it."""
        self.counters.segments += 1
        events: list[ServiceDataUnit | SegmentDiscarded] = []
        if gap_before:
            events += self._discard(DiscardReason.GAP)
        if flags in (SegmentSequenceFlags.FIRST, SegmentSequenceFlags.UNSEGMENTED):
            events += self._discard(DiscardReason.NO_LAST)
        elif not self._portions:
            return [*events, self._lose(DiscardReason.NO_FIRST, bytes(octets))]
        self._portions.append(bytes(octets))
        self._octets += len(octets)
        if self.maximum_octets is not None and self._octets > self.maximum_octets:
            return [*events, *self._discard(DiscardReason.OVERSIZE)]
        if flags in (SegmentSequenceFlags.LAST, SegmentSequenceFlags.UNSEGMENTED):
            events.append(ServiceDataUnit(b"".join(self._portions), len(self._portions)))
            self.counters.units += 1
            self.counters.unit_octets += self._octets
            self._forget()
        return events

    def handle_alone(self, flags: SegmentSequenceFlags, octets: Octets) -> list[ServiceDataUnit | SegmentDiscarded]:
        """What a portion gives that belongs to no other; a unit in progress goes on without it."""
        alone = Reassembler()
        alone.counters = self.counters
        return [*alone.handle_segment(flags, octets), *alone._discard(DiscardReason.GAP)]

    def handle_data_field(
        self, field: UslpTransferFrameDataField, *, gap_before: bool = False
    ) -> list[ServiceDataUnit | SegmentDiscarded]:
        """The same for a USLP data field of rules 001, 010 and 100 to 111.

        Raises: ProtocolError: a rule under which nothing is segmented, 000 or 011.
        """
        return self.handle_segment(*field.portion, gap_before=gap_before)

    def finish(self) -> list[ServiceDataUnit | SegmentDiscarded]:
        """The end of the stream: a unit in progress is discarded."""
        return [*self._discard(DiscardReason.END)]

    def _discard(self, reason: DiscardReason) -> list[SegmentDiscarded]:
        if not self._portions:
            return []
        octets = b"".join(self._portions)
        self._forget()
        return [self._lose(reason, octets)]

    def _lose(self, reason: DiscardReason, octets: bytes) -> SegmentDiscarded:
        name = f"discarded_{reason.name.lower()}"
        setattr(self.counters, name, getattr(self.counters, name) + 1)
        self.counters.discarded_octets += len(octets)
        return SegmentDiscarded(reason, octets)

    def _forget(self) -> None:
        self._portions = []
        self._octets = 0


class MapDemultiplexer:
    """One reassembler per MAP of a TC virtual channel, made when the MAP is first heard of."""

    def __init__(self, maximum_octets: int | None = None) -> None:
        self.maximum_octets = maximum_octets
        self.maps: dict[int | None, Reassembler] = {}

    def handle_frame(self, frame: TcTransferFrame, *, gap_before: bool = False) -> list[MapEvent]:
        """What a frame with data completes or spoils; nothing for one with a control command.

        `gap_before`: frames of the virtual channel are missing before it; that spoils what is in progress on any MAP.
        """
        events = self._spoil() if gap_before else []
        if frame.control_command_flag:
            return events
        flags = SegmentSequenceFlags.UNSEGMENTED if frame.sequence_flags is None else frame.sequence_flags
        if frame.map_id not in self.maps:
            self.maps[frame.map_id] = Reassembler(self.maximum_octets)
        found = self.maps[frame.map_id].handle_segment(flags, frame.transfer_frame_data_unit)
        return events + [MapEvent(frame.map_id, event) for event in found]

    def finish(self) -> list[MapEvent]:
        """The end of the stream: units in progress are discarded."""
        return [MapEvent(map_id, event) for map_id, one in self.maps.items() for event in one.finish()]

    def _spoil(self) -> list[MapEvent]:
        return [
            MapEvent(map_id, event) for map_id, one in self.maps.items() for event in one._discard(DiscardReason.GAP)
        ]


class _UslpMap:
    """The receiving ends of one MAP; which of them is used, each frame says."""

    def __init__(self, maximum_octets: int | None) -> None:
        self.reassembler = Reassembler(maximum_octets)
        self.extractor = PacketExtractor(
            ExtractionParameters(
                first_header_pointer_bits=16, only_idle_data_pointer=False, maximum_packet_octets=maximum_octets
            )
        )
        self.gap_pending = False


class UslpMapDemultiplexer:
    """One virtual channel of USLP: packets, access units, and octet streams, by MAP and construction rule (4.3.2).

    Attributes: maps, by MAP ID; invalid_data_fields, the frames whose data field does not decode.
    """

    def __init__(self, maximum_octets: int | None = None) -> None:
        self.maximum_octets = maximum_octets
        self.maps: dict[int, _UslpMap] = {}
        self.invalid_data_fields = 0

    def handle_frame(self, frame: UslpTransferFrame, *, gap_before: bool = False) -> list[MapEvent]:
        """What a frame with user data completes or spoils; nothing for idle data and protocol control commands.

        `gap_before`: frames of the virtual channel are missing before it; that spoils what is in progress on any MAP.
        """
        events = self._spoil() if gap_before else []
        if frame.is_only_idle_data or frame.protocol_control_command_flag:
            return events
        try:
            field = frame.data_field
        except DecodeError:
            self.invalid_data_fields += 1
            return events + self._spoil()  # of which MAPs it carried a portion, it does not say
        if not field.is_only_idle_data:
            one = self.maps.setdefault(frame.map_id, _UslpMap(self.maximum_octets))
            events += [MapEvent(frame.map_id, event) for event in _deliver(one, field, frame.is_truncated)]
        return events

    def finish(self) -> list[MapEvent]:
        """The end of the stream: units in progress are discarded."""
        events = []
        for map_id, one in self.maps.items():
            events += [MapEvent(map_id, event) for event in (*one.extractor.finish(), *one.reassembler.finish())]
        return events

    def _spoil(self) -> list[MapEvent]:
        events = []
        for map_id, one in self.maps.items():
            one.gap_pending = True
            events += [MapEvent(map_id, event) for event in one.reassembler._discard(DiscardReason.GAP)]
        return events


def _deliver(
    one: _UslpMap, field: UslpTransferFrameDataField, truncated: bool
) -> Iterable[ServiceDataUnit | SegmentDiscarded | ExtractedPacket | OctetStreamPortion]:
    gap, one.gap_pending = one.gap_pending, False
    if field.first_header_pointer is not None:
        return one.extractor.extract(field.transfer_frame_data_zone, field.first_header_pointer, gap_before=gap)
    if field.construction_rule == ConstructionRule.OCTET_STREAM:
        return [OctetStreamPortion(field.transfer_frame_data_zone, gap)]
    if truncated:  # it stands alone, and may come between the portions of a unit
        return one.reassembler.handle_alone(*field.portion)
    return one.reassembler.handle_data_field(field)
