"""TM, AOS and USLP transfer frames of the simulated transmitter.

Sources: CCSDS 132.0-B-3 section 4.1, 732.0-B-5 section 4.1 (ten-bit spacecraft identifier), 732.1-B-3 section 4.1.
"""

from __future__ import annotations

from random import Random

from ccsds.testing.transmitter.coding import frame_error_control, frame_header_error_control, idle_data
from ccsds.testing.transmitter.packets import NO_PACKET_START, ONLY_IDLE_DATA, make_packet_stream
from ccsds.testing.transmitter.parameters import IDLE_VIRTUAL_CHANNEL, FrameType, TransmitterParameters

__all__ = ["make_foreign_frame", "make_frames"]


def make_frames(
    parameters: TransmitterParameters, frames: int, random: Random
) -> tuple[tuple[bytes, ...], dict[int, tuple[bytes, ...]]]:
    """The frames in the order in which they are sent, and the packets of each virtual channel."""
    channels = {each.virtual_channel_id: each for each in parameters.virtual_channels}
    order = random.choices(list(channels), [each.weight for each in channels.values()], k=frames)
    idle = [_carries_only_idle_data(parameters, channels[each].only_idle_data_share, each, random) for each in order]
    contents: dict[int, list[tuple[int, bytes]]] = {}
    packets: dict[int, tuple[bytes, ...]] = {}
    for channel_id, traffic in channels.items():
        times = [
            parameters.start_time_ns + int(slot * parameters.frame_period_ns)
            for slot in range(frames)
            if order[slot] == channel_id and not idle[slot]
        ]
        stream = make_packet_stream(traffic, parameters.packet_zone_octets, times, random)
        contents[channel_id] = list(zip(stream.first_header_pointers, stream.zones, strict=True))[::-1]
        packets[channel_id] = stream.packets
    builder = _Builder(parameters, sum(idle), random)
    made = [
        builder.frame(channel_id, builder.only_idle_data() if is_idle else contents[channel_id].pop())
        for channel_id, is_idle in zip(order, idle, strict=True)
    ]
    return tuple(made), packets


def _carries_only_idle_data(
    parameters: TransmitterParameters, share: float, virtual_channel_id: int, random: Random
) -> bool:
    by_standard = parameters.frame_type is not FrameType.TM and virtual_channel_id == IDLE_VIRTUAL_CHANNEL
    return by_standard or random.random() < share


class _Builder:
    """Puts headers and trailers around packet zones and counts."""

    def __init__(self, parameters: TransmitterParameters, only_idle_data_frames: int, random: Random) -> None:
        self.parameters = parameters
        self.random = random
        self.fill = idle_data(only_idle_data_frames * parameters.data_field_octets)
        self.fill_used = 0
        self.sent = random.randrange(256)  # master channel frame count
        self.counts = {
            each.virtual_channel_id: random.randrange(parameters.frame_count_modulus)
            if each.first_frame_count is None
            else each.first_frame_count % parameters.frame_count_modulus
            for each in parameters.virtual_channels
        }

    def only_idle_data(self) -> tuple[int, bytes]:
        """Pointer and zone of the next such frame; the fill goes on from frame to frame."""
        zone = self.fill[self.fill_used : self.fill_used + self.parameters.packet_zone_octets]
        self.fill_used += len(zone)
        return ONLY_IDLE_DATA, zone

    def frame(self, channel_id: int, content: tuple[int, bytes]) -> bytes:
        """The next frame of this virtual channel, with all that belongs around its zone."""
        parameters = self.parameters
        count = self.counts[channel_id]
        self.counts[channel_id] = (count + 1) % parameters.frame_count_modulus
        pointer, zone = content
        if parameters.frame_type is FrameType.TM:
            octets = self._tm_header(channel_id, count, pointer) + zone
        elif parameters.frame_type is FrameType.USLP:
            octets = self._uslp_header(channel_id, count) + self._uslp_data_field_header(pointer, len(zone)) + zone
        else:
            if pointer >= ONLY_IDLE_DATA:  # all ones (minus one) of the width that the issue gives the pointer
                pointer |= 0xF800 & (1 << parameters.pointer_bits) - 1
            octets = self._aos_header(channel_id, count) + pointer.to_bytes(2, "big") + zone
        if parameters.operational_control_field:
            octets += self._control_word()
        self.sent += 1
        return _close(octets, parameters)

    def _tm_header(self, channel_id: int, count: int, pointer: int) -> bytes:
        parameters = self.parameters
        secondary = parameters.secondary_header_octets
        first = parameters.spacecraft_id << 4 | channel_id << 1 | parameters.operational_control_field
        status = (secondary > 0) << 15 | 0b11 << 11 | pointer
        header = (first << 32 | (self.sent & 255) << 24 | count << 16 | status).to_bytes(6, "big")
        if not secondary:
            return header
        # Secondary header version 0 and its whole length minus one (132.0-B-3 4.1.3.2).
        return header + bytes([secondary - 1]) + self.random.randbytes(secondary - 1)

    def _aos_header(self, channel_id: int, count: int) -> bytes:
        parameters = self.parameters
        scid = parameters.spacecraft_id
        first = 0b01 << 14 | (scid & 255) << 6 | channel_id
        signalling = parameters.frame_count_cycle << 6 | scid >> 8 << 4 | count >> 24
        header = (first << 32 | (count & 0xFFFFFF) << 8 | signalling).to_bytes(6, "big")
        if parameters.frame_header_error_control:
            header += frame_header_error_control(first, signalling).to_bytes(2, "big")
        return header + self.random.randbytes(parameters.insert_zone_octets)

    def _uslp_header(self, channel_id: int, count: int) -> bytes:
        """Sequence-controlled, MAP 3; the frame length is fixed, and is told all the same."""
        parameters = self.parameters
        octets = parameters.frame_count_octets
        first = 0b1100 << 28 | parameters.spacecraft_id << 12 | channel_id << 5 | 3 << 1
        flags = parameters.operational_control_field << 3 | octets
        header = first.to_bytes(4, "big") + (parameters.frame_octets - 1).to_bytes(2, "big") + bytes([flags])
        return header + count.to_bytes(octets, "big") + self.random.randbytes(parameters.insert_zone_octets)

    def _uslp_data_field_header(self, pointer: int, zone_octets: int) -> bytes:
        """Rule 000, packets; or rule 001, protocol 31: one whole unit of idle data."""
        if pointer == ONLY_IDLE_DATA:
            return (0b001_11111 << 16 | zone_octets - 1).to_bytes(3, "big")
        return (0xFFFF if pointer == NO_PACKET_START else pointer).to_bytes(3, "big")

    def _control_word(self) -> bytes:
        """A CLCW of COP-1 (132.0-B-3 / 232.0-B-4): two virtual channels in turn, the report value moving on."""
        report = self.sent // 16 & 255
        return (0b01 << 24 | (self.sent & 1) << 18 | (report >> 6 & 3) << 9 | report).to_bytes(4, "big")


def _close(octets: bytes, parameters: TransmitterParameters) -> bytes:
    if parameters.frame_error_control_field:
        octets += frame_error_control(octets).to_bytes(2, "big")
    return octets


def make_foreign_frame(frame: bytes, parameters: TransmitterParameters, random: Random) -> bytes:
    """The same frame from another spacecraft or of another transfer frame version, with valid check fields."""
    changed = bytearray(frame)
    if random.random() < 0.5:
        changed[0] ^= random.choice((0b01, 0b10, 0b11)) << 6
    else:  # the bits between version and virtual channel, whichever the frame type
        changed[0] ^= random.randint(1, 63)
    if parameters.frame_header_error_control:
        check = frame_header_error_control(int.from_bytes(changed[:2], "big"), changed[5])
        changed[6:8] = check.to_bytes(2, "big")
    if parameters.frame_error_control_field:
        del changed[-2:]
    return _close(bytes(changed), parameters)
