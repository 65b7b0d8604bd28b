"""A slow, obvious receiver of TM and AOS frames: the oracle for fast ones.  Frames in, packets and an account out.

It takes frames as octets, one by one, without marker, randomisation or code, and shares nothing with the Rust chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from ccsds.errors import DecodeError, IntegrityError
from ccsds.frames.aos import AosTransferFrame
from ccsds.frames.tm import TmTransferFrame
from ccsds.layout import Octets
from ccsds.packets.encapsulation_packet import EncapsulationPacket
from ccsds.packets.space_packet import SpacePacket
from ccsds.procedures.packet_extraction import (
    ExtractedPacket,
    ExtractionCounters,
    ExtractionParameters,
    PacketExtractor,
)

__all__ = ["ChannelAccount", "LinkAccount", "LinkParameters", "ServedPacket", "deinterleave", "receive_frames"]

_MASTER_RANGE = 1 << 8
_SEQUENCE_RANGE = 1 << 14


class LinkParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Managed parameters of a link.  `data_without_packets`: virtual channels from which nothing is extracted."""

    protocol: Literal["TM", "AOS"]
    spacecraft_ids: frozenset[int]
    frame_error_control_present: bool = False
    frame_header_error_control_present: bool = False
    operational_control_field_present: bool = False
    """AOS only: in TM the header tells"""
    insert_zone_octets: int = 0
    secondary_header_octets: int | None = None
    issue: int = 5
    """of 732.0-B, AOS only"""
    remove_repeated_frames: bool = True
    data_without_packets: frozenset[int] = frozenset()
    extraction: ExtractionParameters = ExtractionParameters()


class ServedPacket(msgspec.Struct, frozen=True):
    """A packet as it was delivered; `packet.frame_index` counts the frames of its virtual channel."""

    spacecraft_id: int
    virtual_channel_id: int
    packet: ExtractedPacket


class ChannelAccount(msgspec.Struct, kw_only=True):
    """What one virtual channel gave, in the terms of the capture tables."""

    spacecraft_id: int
    virtual_channel_id: int
    frames: int = 0
    repeated_frames: int = 0
    counter_gaps: int = 0
    lost_frames: int = 0
    counter_first: int = -1
    counter_last: int = -1
    only_idle_data_frames: int = 0
    zone_sha256: str = ""
    sha256: str = ""
    extraction: ExtractionCounters = msgspec.field(default_factory=ExtractionCounters)
    application_processes: dict[int, list[int]] = msgspec.field(default_factory=dict)
    """by identifier: packets, octets, sequence gaps, missing packets"""
    encapsulation: dict[int, list[int]] = msgspec.field(default_factory=dict)
    """by protocol id: packets, octets"""


class LinkAccount(msgspec.Struct, kw_only=True):
    """What the whole link gave."""

    records: int = 0
    frame_error_control_failures: int = 0
    foreign_records: int = 0
    undecodable_records: int = 0
    master_channel_gaps: int = 0
    master_channel_lost: int = 0
    ocf_words: int = 0
    ocf_sha256: str = ""
    channels: dict[tuple[int, int], ChannelAccount] = msgspec.field(default_factory=dict)
    packets: list[ServedPacket] = msgspec.field(default_factory=list)


class _Channel:
    """One virtual channel while it is being received."""

    def __init__(self, parameters: LinkParameters, spacecraft_id: int, virtual_channel_id: int) -> None:
        self.account = ChannelAccount(spacecraft_id=spacecraft_id, virtual_channel_id=virtual_channel_id)
        bits = 16 if parameters.protocol == "AOS" and parameters.issue > 4 else 11
        self.extractor = PacketExtractor(msgspec.structs.replace(parameters.extraction, first_header_pointer_bits=bits))
        self.account.extraction = self.extractor.counters
        self.previous: bytes | None = None
        self.last_count: tuple[int | None, bool] = (None, False)
        self.zones = hashlib.sha256()
        self.packets = hashlib.sha256()
        self.sequence: dict[int, int] = {}

    def missing_before(self, frame: TmTransferFrame | AosTransferFrame) -> int:
        """Frames missing between the previous frame and this one; 28 bits count where both frames say so."""
        count, span, wide = frame.virtual_channel_frame_count, 1 << 8, False
        previous, was_wide = self.last_count
        if isinstance(frame, AosTransferFrame):
            span, wide = 1 << 24, bool(frame.virtual_channel_frame_count_usage_flag)
            count = frame.extended_virtual_channel_frame_count
            if wide and was_wide:
                span = 1 << 28
        self.last_count = (count, wide)
        return (count - previous - 1) % span if previous is not None else 0

    def count(self, packet: ExtractedPacket) -> None:
        """Add one packet to the tables.  Incomplete packets are in none of them."""
        if not packet.is_complete:
            return
        if not packet.is_idle:
            self.packets.update(packet.octets)
        if packet.octets[0] >> 5:
            row = self.account.encapsulation.setdefault(
                EncapsulationPacket.decode(packet.octets).encapsulation_protocol_id, [0, 0]
            )
        else:
            row = self._application_process(SpacePacket.decode(packet.octets))
        row[0] += 1
        row[1] += len(packet.octets)

    def _application_process(self, packet: SpacePacket) -> list[int]:
        identifier, count = packet.application_process_id, packet.packet_sequence_count
        row = self.account.application_processes.setdefault(identifier, [0, 0, 0, 0])
        previous = self.sequence.get(identifier)
        self.sequence[identifier] = count
        if previous is not None:
            missing = (count - previous - 1) % _SEQUENCE_RANGE
            row[2] += missing != 0
            row[3] += missing
        return row


def deinterleave(record: Octets, depth: int) -> bytes:
    """The columns of a record that is written in rows of `depth` octets, one column after the other."""
    return b"".join(bytes(record[column::depth]) for column in range(depth))


def receive_frames(frames: Iterable[Octets], parameters: LinkParameters) -> LinkAccount:
    """Receive frames, given without marker and code, in the order in which they came; the steps of the capture rule.

    Damage never raises.  Raises ValueError only for parameters that contradict themselves.
    """
    account = LinkAccount()
    channels: dict[tuple[int, int], _Channel] = {}
    controls = hashlib.sha256()
    masters: dict[int, int] = {}
    for record in frames:
        account.records += 1
        frame = _decode(record, parameters, account)
        if frame is None:
            continue
        key = (frame.spacecraft_id, frame.virtual_channel_id)
        channel = channels.setdefault(key, _Channel(parameters, *key))
        octets = bytes(record)
        if parameters.remove_repeated_frames and channel.previous == octets:
            channel.account.frames += 1
            channel.account.repeated_frames += 1
            continue
        if frame.operational_control_field is not None:
            account.ocf_words += 1
            controls.update(frame.operational_control_field)
        _count_master(frame, masters, account)
        for packet in _take(frame, channel, parameters):
            channel.count(packet)
            account.packets.append(ServedPacket(*key, packet))
        channel.previous = octets
    for key, channel in channels.items():
        account.packets += [ServedPacket(*key, packet) for packet in channel.extractor.finish()]
        channel.account.sha256 = channel.packets.hexdigest()
        channel.account.zone_sha256 = channel.zones.hexdigest()
        account.channels[key] = channel.account
    account.ocf_sha256 = controls.hexdigest()
    return account


def _decode(
    record: Octets, parameters: LinkParameters, account: LinkAccount
) -> TmTransferFrame | AosTransferFrame | None:
    """Steps 1 and 2: a frame of this link, or None and a count."""
    fields: dict[str, Any] = {"frame_error_control_present": parameters.frame_error_control_present}
    frame: TmTransferFrame | AosTransferFrame
    try:
        if parameters.protocol == "TM":
            fields["secondary_header_octets"] = parameters.secondary_header_octets
            frame = TmTransferFrame.decode(record, **fields)
        else:
            for name in (
                "frame_header_error_control_present",
                "operational_control_field_present",
                "insert_zone_octets",
                "issue",
            ):
                fields[name] = getattr(parameters, name)
            frame = AosTransferFrame.decode(record, **fields)
    except IntegrityError:
        account.frame_error_control_failures += 1
        return None
    except DecodeError as error:
        if "version number" in error.message:
            account.foreign_records += 1
        else:
            account.undecodable_records += 1
        return None
    if frame.spacecraft_id not in parameters.spacecraft_ids:
        account.foreign_records += 1
        return None
    return frame


def _take(
    frame: TmTransferFrame | AosTransferFrame, channel: _Channel, parameters: LinkParameters
) -> list[ExtractedPacket]:
    """Steps 4 to 7: the packets that end in this frame."""
    account = channel.account
    account.frames += 1
    count, lost = frame.virtual_channel_frame_count, channel.missing_before(frame)
    if account.counter_first < 0:
        account.counter_first = count
    account.counter_last = count
    account.counter_gaps += lost != 0
    account.lost_frames += lost
    zone, pointer, has_packets, only_idle = _zone(frame)
    channel.zones.update(zone)
    account.only_idle_data_frames += only_idle
    if account.virtual_channel_id in parameters.data_without_packets or not has_packets:
        return channel.extractor.note_gap() if lost else []
    return channel.extractor.extract(zone, pointer, only_idle=only_idle, gap_before=lost != 0)


def _zone(frame: TmTransferFrame | AosTransferFrame) -> tuple[bytes, int, bool, bool]:
    """Packet zone, first header pointer, whether it is about packets at all, and whether it is idle data only."""
    if isinstance(frame, TmTransferFrame):
        packets = not frame.synchronization_flag
        return frame.transfer_frame_data_field, frame.first_header_pointer, packets, frame.is_only_idle_data
    try:
        unit = frame.multiplexing_protocol_data_unit
    except DecodeError:  # a data field too short for an M_PDU
        return b"", 0, False, frame.is_only_idle_data
    only_idle = frame.is_only_idle_data or unit.is_only_idle_data
    return unit.packet_zone, unit.first_header_pointer, True, only_idle


def _count_master(frame: TmTransferFrame | AosTransferFrame, masters: dict[int, int], account: LinkAccount) -> None:
    if not isinstance(frame, TmTransferFrame):
        return
    previous = masters.get(frame.spacecraft_id)
    masters[frame.spacecraft_id] = frame.master_channel_frame_count
    if previous is not None:
        lost = (frame.master_channel_frame_count - previous - 1) % _MASTER_RANGE
        account.master_channel_gaps += lost != 0
        account.master_channel_lost += lost
