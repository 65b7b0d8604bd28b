"""A slow, obvious receiver of TC and USLP frames: the oracle for fast ones.  Frames in, packets, units and counts out.

It takes frames one by one, without marker, randomisation or code, by the codecs and procedures of this package, and
shares nothing with the Rust chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ccsds.errors import DecodeError
from ccsds.frames.error_control import CRC_16, CRC_32, frame_error_control
from ccsds.frames.tc import SegmentSequenceFlags, TcTransferFrame
from ccsds.frames.uslp import UslpTransferFrame
from ccsds.frames.uslp_data_field import ConstructionRule, UslpTransferFrameDataField
from ccsds.layout import Octets
from ccsds.link.managed_parameters import PhysicalChannel, VirtualChannel
from ccsds.procedures.packet_extraction import ExtractionParameters, PacketExtractor, packet_length
from ccsds.procedures.segmentation import DiscardReason, Reassembler, SegmentDiscarded, ServiceDataUnit

__all__ = ["MapChannelAccount", "MapLinkAccount", "MapReception", "SequenceCounts", "receive_map_frames"]

_LATE_RUN = 4
Frame = TcTransferFrame | UslpTransferFrame


class SequenceCounts(msgspec.Struct, kw_only=True):
    """Of the sequence-controlled or the expedited frames of a virtual channel."""

    frames: int = 0
    repeated_frames: int = 0
    control_command_frames: int = 0
    truncated_frames: int = 0
    counter_gaps: int = 0
    lost_frames: int = 0
    late_frames: int = 0
    counter_resets: int = 0


class MapReception(msgspec.Struct, kw_only=True):
    """Of one MAP: packets and units in order, of each kind of frame apart, with True where it is whole."""

    packets: list[list[tuple[bytes, bool]]] = msgspec.field(default_factory=lambda: [[], []])
    units: list[list[tuple[bytes, bool]]] = msgspec.field(default_factory=lambda: [[], []])
    frames: int = 0
    segments: int = 0
    access_units: int = 0
    octet_stream_octets: int = 0
    broken_blocks: int = 0
    discarded: dict[str, int] = msgspec.field(
        default_factory=lambda: {reason.name.lower(): 0 for reason in DiscardReason}
    )
    discarded_octets: int = 0


class MapChannelAccount(msgspec.Struct, kw_only=True):
    """One virtual channel."""

    frames: int = 0
    invalid_frames: int = 0
    only_idle_data_frames: int = 0
    sequences: list[SequenceCounts] = msgspec.field(default_factory=lambda: [SequenceCounts(), SequenceCounts()])
    maps: dict[int | None, MapReception] = msgspec.field(default_factory=dict)


class MapLinkAccount(msgspec.Struct, kw_only=True):
    """What the whole link gave."""

    fecf_errors: int = 0
    foreign_frames: int = 0
    channels: dict[tuple[int, int], MapChannelAccount] = msgspec.field(default_factory=dict)


def receive_map_frames(frames: Iterable[Octets], channel: PhysicalChannel) -> MapLinkAccount:
    """Receive frames in the order in which they came.  Damage never raises."""
    account, channels = MapLinkAccount(), {}
    masters = {master.spacecraft_id for master in channel.master_channels}
    for record in frames:
        octets = bytes(record)
        key = _key(octets, channel)
        if channel.frame_error_control and not _is_truncated(octets, channel, key) and not _verifies(octets, channel):
            account.fecf_errors += 1
            continue
        if key is None or (masters and key[0] not in masters):
            account.foreign_frames += 1
            continue
        if key not in channels:
            account.channels[key] = MapChannelAccount()
            channels[key] = _Channel(channel.find(*key)[1], account.channels[key], channel)
        channels[key].receive(octets)
    for each in channels.values():
        each.finish()
    return account


def _key(octets: bytes, channel: PhysicalChannel) -> tuple[int, int] | None:
    """Spacecraft and virtual channel; None of another version."""
    first = int.from_bytes(octets[:4], "big")
    if channel.frame_type == "TC":
        return None if first >> 30 else (first >> 16 & 1023, first >> 10 & 63)
    return (first >> 12 & 0xFFFF, first >> 5 & 63) if first >> 28 == 12 else None


def _is_truncated(octets: bytes, channel: PhysicalChannel, key: tuple[int, int] | None) -> bool:
    if channel.frame_type == "TC" or key is None or not octets[3] & 1:
        return False
    return channel.find(*key)[1].truncated_frame_octets == len(octets)


def _verifies(octets: bytes, channel: PhysicalChannel) -> bool:
    code = CRC_32 if channel.frame_error_control_octets == 4 else CRC_16
    return frame_error_control(octets, code) == 0


def _decode(octets: bytes, channel: PhysicalChannel, virtual: VirtualChannel) -> Frame:
    common: dict[str, Any] = {"frame_error_control_present": channel.frame_error_control}
    if channel.frame_type == "TC":
        return TcTransferFrame.decode(octets, segment_header_present=virtual.segment_header, **common)
    return UslpTransferFrame.decode(
        octets,
        frame_error_control_octets=channel.frame_error_control_octets,
        insert_zone_octets=channel.insert_zone_octets,
        **common,
    )


class _Counter:
    """A frame count: what the next one says of the frames between."""

    def __init__(self) -> None:
        self.octets = 0
        self.last: int | None = None
        self.back: list[int] = []

    def step(self, count: int, octets: int, window: int) -> tuple[str, int]:
        span = 1 << 8 * octets
        if octets != self.octets or self.last is None:
            self.octets, self.last, self.back = octets, count, []
            return "first", 0
        ahead, behind = (count - self.last - 1) % span, (self.last - count) % span
        if octets == 1 or ahead < span // 2:
            self.last, self.back = count, []
            return "gap" if ahead else "next", ahead
        follows = bool(self.back) and count == (self.back[-1] + 1) % span
        self.back = [*self.back, count] if follows else [count]
        if behind <= window and len(self.back) < _LATE_RUN:
            return "late", 0
        self.last, self.back = count, []
        return "reset", 0


class _End:
    """One kind of frames on one MAP."""

    def __init__(self, virtual: VirtualChannel, map_id: int | None, reception: MapReception, kind: int) -> None:
        listed = {map_.map_id: map_ for map_ in virtual.maps}
        agreed = listed.get(map_id, virtual) if map_id is not None else virtual
        self.holds_packets = agreed.service == "packets"
        self.parameters = ExtractionParameters(
            valid_packet_versions=frozenset(agreed.valid_packet_versions),
            maximum_packet_octets=agreed.maximum_packet_octets,
            deliver_incomplete_packets=agreed.deliver_incomplete_packets,
            first_header_pointer_bits=16,
        )
        self.reception = reception
        self.packets, self.units = reception.packets[kind], reception.units[kind]
        self.extractor = PacketExtractor(self.parameters)
        self.reassembler = Reassembler()
        self.protocols: list[int] = []

    def gap(self) -> None:
        self.packets += [(packet.octets, False) for packet in self.extractor.note_gap()]
        self._events(self.reassembler._discard(DiscardReason.GAP))

    def finish(self) -> None:
        self.packets += [(packet.octets, False) for packet in self.extractor.finish()]
        self._events(self.reassembler.finish())

    def zone(self, zone: bytes, pointer: int, late: bool) -> None:
        if not late:
            found = self.extractor.extract(zone, pointer)
        elif pointer < len(zone):
            alone = PacketExtractor(self.parameters)
            found = [*alone.extract(zone[pointer:], 0), *alone.finish()]
        else:
            return
        self.packets += [(packet.octets, packet.is_complete) for packet in found]

    def portion(self, flags: SegmentSequenceFlags, octets: bytes, protocol: int, late: bool) -> None:
        self.reception.segments += 1
        before = self.protocols
        reassembler = Reassembler() if late else self.reassembler
        starts = flags in (SegmentSequenceFlags.FIRST, SegmentSequenceFlags.UNSEGMENTED)
        self.protocols = [] if late else before
        whole = flags is SegmentSequenceFlags.UNSEGMENTED
        reassembler.maximum_octets = None if whole or late else self.parameters.maximum_packet_octets
        events = reassembler.handle_segment(flags, octets)
        if late and flags is SegmentSequenceFlags.FIRST:
            events += reassembler._discard(DiscardReason.GAP)
        for event in events:
            lone = isinstance(event, SegmentDiscarded) and event.reason is DiscardReason.NO_FIRST
            old = isinstance(event, SegmentDiscarded) and event.reason is DiscardReason.NO_LAST
            self._event(event, before[0] if old or (not starts and not lone) else protocol)
        if late:
            self.protocols = before
        elif starts and reassembler._portions:
            self.protocols = [protocol]

    def _events(self, events: Iterable[ServiceDataUnit | SegmentDiscarded]) -> None:
        for event in events:
            self._event(event, self.protocols[0])

    def _event(self, event: ServiceDataUnit | SegmentDiscarded, protocol: int) -> None:
        packets = self.holds_packets and protocol == 0
        if isinstance(event, SegmentDiscarded):
            self.reception.discarded[event.reason.name.lower()] += 1
            self.reception.discarded_octets += len(event.octets)
            beginning = event.reason in (DiscardReason.NO_LAST, DiscardReason.GAP, DiscardReason.END)
            if self.parameters.deliver_incomplete_packets and beginning and event.octets:
                (self.packets if packets else self.units).append((event.octets, False))
        elif packets:
            self.packets += self._block(event.octets)
        else:
            self.reception.access_units += 1
            self.units.append((event.octets, True))

    def _block(self, octets: bytes) -> Iterator[tuple[bytes, bool]]:
        """Packets one after the other, and what is cut off at the end."""
        while octets:
            known = octets[0] >> 5 in self.parameters.valid_packet_versions
            try:
                length = packet_length(octets) if known else 0
            except DecodeError:
                length = 0
            most = self.parameters.maximum_packet_octets
            if length == 0 or (length is not None and most is not None and length > most):
                self.reception.broken_blocks += 1
                return
            if length is None or length > len(octets):
                self.reception.broken_blocks += 1
                if self.parameters.deliver_incomplete_packets:
                    yield octets, False
                return
            yield octets[:length], True
            octets = octets[length:]


class _Channel:
    """One virtual channel while it is being received."""

    def __init__(self, virtual: VirtualChannel, account: MapChannelAccount, channel: PhysicalChannel) -> None:
        self.virtual, self.account, self.channel = virtual, account, channel
        self.counters = (_Counter(), _Counter())
        self.previous: list[bytes | None] = [None, None]
        self.ends: dict[tuple[int | None, int], _End] = {}

    def receive(self, octets: bytes) -> None:
        self.account.frames += 1
        try:
            frame = _decode(octets, self.channel, self.virtual)
        except DecodeError:
            frame = None
        if isinstance(frame, UslpTransferFrame) and frame.is_truncated:
            frame = frame if self.virtual.truncated_frame_octets == len(octets) else None
        if frame is None:
            self.account.invalid_frames += 1
            self._gap((0, 1))
        elif isinstance(frame, TcTransferFrame):
            self._receive_tc(octets, frame)
        else:
            self._receive_uslp(octets, frame)

    def finish(self) -> None:
        for end in self.ends.values():
            end.finish()

    def _gap(self, kinds: tuple[int, ...]) -> None:
        for (_, kind), end in self.ends.items():
            if kind in kinds:
                end.gap()

    def _is_repeated(self, octets: bytes, kind: int, count_octets: int) -> bool:
        counts = self.account.sequences[kind]
        counts.frames += 1
        if not count_octets or not self.virtual.remove_repeated_frames:
            return False
        repeated = self.previous[kind] == octets
        counts.repeated_frames += repeated
        self.previous[kind] = octets
        return repeated

    def _is_late(self, count: int, octets: int, kind: int) -> bool:
        if not octets or self.virtual.frame_count_frozen:
            return False
        counts = self.account.sequences[kind]
        what, lost = self.counters[kind].step(count, octets, self.channel.late_frame_window)
        counts.counter_gaps += what == "gap"
        counts.lost_frames += lost
        counts.late_frames += what == "late"
        counts.counter_resets += what == "reset"
        if what in ("gap", "reset"):
            self._gap((kind,))
        return what == "late"

    def _receive_tc(self, octets: bytes, frame: TcTransferFrame) -> None:
        kind = frame.bypass_flag
        counted = 1 - kind
        if self._is_repeated(octets, kind, counted):
            return
        late = self._is_late(frame.frame_sequence_number, counted, kind)
        if frame.control_command_flag:
            self.account.sequences[kind].control_command_frames += 1
            return
        flags = SegmentSequenceFlags.UNSEGMENTED if frame.sequence_flags is None else frame.sequence_flags
        self._end(frame.map_id, kind).portion(flags, frame.transfer_frame_data_unit, 0, late)

    def _receive_uslp(self, octets: bytes, frame: UslpTransferFrame) -> None:
        kind = 1 if frame.is_truncated else frame.bypass_sequence_control_flag
        self.account.sequences[kind].truncated_frames += frame.is_truncated
        length = frame.virtual_channel_frame_count_length
        if self._is_repeated(octets, kind, length):
            return
        late = self._is_late(frame.virtual_channel_frame_count, length, kind)
        try:
            field = frame.data_field
        except DecodeError:
            if frame.is_only_idle_data:
                self.account.only_idle_data_frames += 1
                return
            self.account.invalid_frames += 1
            self._gap((kind,))
            return
        if frame.is_only_idle_data:
            self.account.only_idle_data_frames += 1
        elif frame.protocol_control_command_flag:
            self.account.sequences[kind].control_command_frames += 1
        elif field.is_only_idle_data:
            self.account.only_idle_data_frames += 1
        else:
            self._take(self._end(frame.map_id, kind), field, late or frame.is_truncated)

    def _end(self, map_id: int | None, kind: int) -> _End:
        reception = self.account.maps.setdefault(map_id, MapReception())
        reception.frames += 1
        if (map_id, kind) not in self.ends:
            self.ends[map_id, kind] = _End(self.virtual, map_id, reception, kind)
        return self.ends[map_id, kind]

    def _take(self, end: _End, field: UslpTransferFrameDataField, late: bool) -> None:
        zone, protocol = field.transfer_frame_data_zone, field.uslp_protocol_id
        if field.first_header_pointer is not None:
            end.zone(zone, field.first_header_pointer, late)
        elif field.construction_rule == ConstructionRule.OCTET_STREAM:
            end.reception.octet_stream_octets += len(zone)
            end.units.append((zone, True))
        else:
            end.portion(*field.portion, protocol, late)
