"""What frames hold, read slowly and plainly: the account that a receiver must agree with.

The rule, in this order, frames as they come: a frame with a wrong frame error control field is dropped; one of
another transfer frame version or spacecraft is counted as foreign; one that equals the previous frame of its virtual
channel is counted as repeated and otherwise ignored; a count that is not the previous one plus 1 is a gap and drops the
packet in progress; only-idle-data frames neither add to a packet nor interrupt it; the first header pointer then says
where packets begin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ccsds.testing.transmitter.coding import frame_error_control
from ccsds.testing.transmitter.parameters import IDLE_VIRTUAL_CHANNEL, FrameType, TransmitterParameters

__all__ = ["FramesAccount", "VirtualChannelAccount", "account_for"]

NO_PACKET_START = 2047
ONLY_IDLE_DATA = 2046
IDLE_APPLICATION_PROCESS_ID = 2047


@dataclass(kw_only=True)
class VirtualChannelAccount:
    """One virtual channel.

    Attributes: frames: own and valid, repeated ones and only-idle-data ones included.
                packets, packet_octets, sha256: complete packets that are not idle, in order of completion.
                application_processes: APID to [packets, octets, sequence gaps, missing packets], idle ones too.
                encapsulation: protocol identifier to [packets, octets], idle ones too.
    """

    virtual_channel_id: int
    frames: int = 0
    repeated_frames: int = 0
    counter_gaps: int = 0
    lost_frames: int = 0
    only_idle_data_frames: int = 0
    packets: int = 0
    packet_octets: int = 0
    idle_packets: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    application_processes: dict[int, list[int]] = field(default_factory=dict)
    encapsulation: dict[int, list[int]] = field(default_factory=dict)


@dataclass(kw_only=True)
class FramesAccount:
    """All virtual channels of one spacecraft, and what was set aside."""

    virtual_channels: dict[int, VirtualChannelAccount] = field(default_factory=dict)
    foreign_frames: int = 0
    frame_error_control_errors: int = 0


def account_for(frames: Iterable[bytes], parameters: TransmitterParameters) -> FramesAccount:
    """Apply the rule above to frames that came out of the channel decoder."""
    account = FramesAccount()
    readers: dict[int, _ChannelReader] = {}
    tm = parameters.frame_type is FrameType.TM
    for frame in frames:
        if parameters.frame_error_control_field and frame_error_control(frame):
            account.frame_error_control_errors += 1
            continue
        first = int.from_bytes(frame[:2], "big")
        if tm:
            version, spacecraft_id, channel_id = first >> 14, first >> 4 & 1023, first >> 1 & 7
            expected_version = 0
        elif parameters.frame_type is FrameType.USLP:
            word = int.from_bytes(frame[:4], "big")
            version, spacecraft_id, channel_id = word >> 28, word >> 12 & 0xFFFF, word >> 5 & 63
            expected_version = 12
        else:
            # 732.0-B-5: the two upper bits of the identifier stand in header bits 42 and 43, spare before.
            upper = frame[5] >> 4 & 3 if parameters.standard_issue == 5 else 0
            version, spacecraft_id, channel_id = first >> 14, first >> 6 & 255 | upper << 8, first & 63
            expected_version = 1
        if version != expected_version or spacecraft_id != parameters.spacecraft_id:
            account.foreign_frames += 1
            continue
        if channel_id not in readers:
            readers[channel_id] = _ChannelReader(channel_id, parameters)
        readers[channel_id].read(frame)
    for channel_id in sorted(readers):
        reader = readers[channel_id]
        reader.account.sha256 = reader.digest.hexdigest()
        account.virtual_channels[channel_id] = reader.account
    return account


def _packet_octets(octets: bytes) -> int | None:
    """Octets of the packet that begins so, None when the length field is not there yet."""
    if octets[0] >> 5 == 0:
        return None if len(octets) < 6 else 7 + int.from_bytes(octets[4:6], "big")
    header, at = ((1, 1), (2, 1), (4, 2), (8, 4))[octets[0] & 3]
    if len(octets) < header:
        return None
    return 1 if header == 1 else int.from_bytes(octets[at:header], "big")


class _ChannelReader:
    def __init__(self, channel_id: int, parameters: TransmitterParameters) -> None:
        self.parameters = parameters
        self.tm = parameters.frame_type is FrameType.TM
        self.account = VirtualChannelAccount(virtual_channel_id=channel_id)
        self.digest = hashlib.sha256()
        self.previous: bytes | None = None
        self.count: int | None = None
        self.in_progress: bytes | None = None
        self.sequence_counts: dict[int, int] = {}

    def read(self, frame: bytes) -> None:
        self.account.frames += 1
        counts = self.parameters.frame_count_modulus > 1  # of a frame without a count nothing tells that it is repeated
        if counts and frame == self.previous:
            self.account.repeated_frames += 1
            return
        self.previous = frame
        self._count(frame)
        pointer, zone = self._pointer_and_zone(frame)
        idle_channel = not self.tm and self.account.virtual_channel_id == IDLE_VIRTUAL_CHANNEL
        if idle_channel or pointer == ONLY_IDLE_DATA:
            self.account.only_idle_data_frames += 1
        elif pointer == NO_PACKET_START:
            self._continue(zone)
        elif pointer < len(zone):
            if self.in_progress is not None:
                packet = self.in_progress + zone[:pointer]
                if _packet_octets(packet) == len(packet):
                    self._complete(packet)
            self._cut_packets(zone[pointer:])
        else:
            self.in_progress = None

    def _count(self, frame: bytes) -> None:
        if self.tm:
            count, modulus = frame[3], 256
        elif self.parameters.frame_type is FrameType.USLP:
            octets = frame[6] & 7
            count, modulus = int.from_bytes(frame[7 : 7 + octets], "big"), 1 << 8 * octets
        elif frame[5] >> 6 & 1:  # the usage flag: the cycle extends the count
            count, modulus = (frame[5] & 15) << 24 | int.from_bytes(frame[2:5], "big"), 1 << 28
        else:
            count, modulus = int.from_bytes(frame[2:5], "big"), 1 << 24
        if self.count is not None and count != (self.count + 1) % modulus:
            self.account.counter_gaps += 1
            self.account.lost_frames += (count - self.count - 1) % modulus
            self.in_progress = None
        self.count = count

    def _pointer_and_zone(self, frame: bytes) -> tuple[int, bytes]:
        parameters = self.parameters
        control_field = parameters.operational_control_field
        if self.tm:
            control_field = bool(frame[1] & 1)
            pointer = int.from_bytes(frame[4:6], "big") & 2047
            start = 6 + ((frame[6] & 63) + 1 if frame[4] >> 7 else 0)
        elif parameters.frame_type is FrameType.USLP:
            control_field = bool(frame[6] & 8)
            header = 7 + (frame[6] & 7) + parameters.insert_zone_octets
            pointer = int.from_bytes(frame[header + 1 : header + 3], "big")
            start = header + 3
            if frame[header] & 31 == 31:
                pointer = ONLY_IDLE_DATA
            elif pointer == 0xFFFF:
                pointer = NO_PACKET_START
        else:
            header = parameters.data_field_offset
            pointer = int.from_bytes(frame[header : header + 2], "big") & (1 << parameters.pointer_bits) - 1
            if parameters.pointer_bits == 16 and pointer >= 0xFFFE:
                pointer &= 2047  # the two special values, as in eleven bits
            start = header + 2
        end = len(frame) - 4 * control_field - 2 * parameters.frame_error_control_field
        return pointer, frame[start:end]

    def _continue(self, zone: bytes) -> None:
        if self.in_progress is None:
            return
        packet = self.in_progress + zone
        octets = _packet_octets(packet)
        self.in_progress = packet
        if octets is not None and octets <= len(packet):
            if octets == len(packet):
                self._complete(packet)
            self.in_progress = None

    def _cut_packets(self, zone: bytes) -> None:
        self.in_progress = None
        at = 0
        while at < len(zone):
            if zone[at] >> 5 not in (0, 7):
                return
            octets = _packet_octets(zone[at : at + 8])
            if octets is None or at + octets > len(zone):
                self.in_progress = zone[at:]
                return
            if octets < 1:
                return
            self._complete(zone[at : at + octets])
            at += octets

    def _complete(self, packet: bytes) -> None:
        account = self.account
        if packet[0] >> 5:
            protocol_id = packet[0] >> 2 & 7
            idle = protocol_id == 0
            row = account.encapsulation.setdefault(protocol_id, [0, 0])
        else:
            process_id = int.from_bytes(packet[:2], "big") & 2047
            idle = process_id == IDLE_APPLICATION_PROCESS_ID
            row = account.application_processes.setdefault(process_id, [0, 0, 0, 0])
            count = int.from_bytes(packet[2:4], "big") & 0x3FFF
            before = self.sequence_counts.get(process_id)
            if before is not None and count != (before + 1) % 16384:
                row[2] += 1
                row[3] += (count - before - 1) % 16384
            self.sequence_counts[process_id] = count
        row[0] += 1
        row[1] += len(packet)
        if idle:
            account.idle_packets += 1
            return
        account.packets += 1
        account.packet_octets += len(packet)
        self.digest.update(packet)
