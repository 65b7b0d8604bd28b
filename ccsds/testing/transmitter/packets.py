"""Traffic of the simulated transmitter: space packets and encapsulation packets back to back.

Sources: CCSDS 133.0-B-2 section 4.1, 133.1-B-3 section 4.1, 301.0-B-4 section 3.2.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from ccsds.testing.transmitter.parameters import VirtualChannelTraffic

__all__ = ["NO_PACKET_START", "PacketStream", "encapsulation_packet", "make_packet_stream", "space_packet"]

IDLE_APPLICATION_PROCESS_ID = 2047
NO_PACKET_START = 2047
ONLY_IDLE_DATA = 2046
CUC_EPOCH_NS = -378691200_000_000_000  # 1958-01-01, level 1 epoch of CUC; leap seconds are left out
CUC_OCTETS = 7
IDLE_OCTET = b"\xaa"
ENCAPSULATION_HEADER_OCTETS = {0: 1, 1: 2, 2: 4, 4: 8}  # by octets of the length field


class PacketStream(NamedTuple):
    """The packets of one virtual channel as they fill its packet zones.

    zones: one per frame.  first_header_pointers: of each zone.  packets: complete ones that are not idle, in order.
    """

    zones: list[bytes]
    first_header_pointers: list[int]
    packets: tuple[bytes, ...]


def space_packet(
    application_process_id: int, sequence_count: int, data: bytes, *, secondary_header_flag: int = 0
) -> bytes:
    """An unsegmented telemetry packet."""
    identification = secondary_header_flag << 11 | application_process_id
    sequence = 0b11 << 14 | sequence_count & 0x3FFF
    return (identification << 32 | sequence << 16 | len(data) - 1).to_bytes(6, "big") + data


def encapsulation_packet(protocol_id: int, length_octets: int, data: bytes) -> bytes:
    """An encapsulation packet whose length field has 0, 1, 2 or 4 octets."""
    first = 0b111 << 5 | protocol_id << 2 | (0, 1, 2, 4).index(length_octets)
    header = ENCAPSULATION_HEADER_OCTETS[length_octets]
    between = bytes(header - 1 - length_octets)
    length = (header + len(data)).to_bytes(length_octets, "big") if length_octets else b""
    return bytes([first]) + between + length + data


def _time_code(time_ns: int) -> bytes:
    """CUC with 4 octets of seconds and 3 of binary fractions, without preamble."""
    since = time_ns - CUC_EPOCH_NS
    return (since * (1 << 24) // 1_000_000_000 & (1 << 56) - 1).to_bytes(CUC_OCTETS, "big")


class _Source:
    """Makes the packets of one virtual channel, with a sequence count for each APID."""

    def __init__(self, traffic: VirtualChannelTraffic, random: Random) -> None:
        self.traffic = traffic
        self.random = random
        self.counts = {each: random.randrange(16384) for each in traffic.application_process_ids}
        self.idle_count = 0

    def idle_space_packet(self, data_octets: int) -> bytes:
        self.idle_count += 1
        return space_packet(IDLE_APPLICATION_PROCESS_ID, self.idle_count, IDLE_OCTET * data_octets)

    def idle_packet(self) -> bytes:
        if self.random.random() < 0.5:
            return self.idle_space_packet(self.random.randint(1, 80))
        length_octets = self.random.choice((0, 1, 2, 4))
        return encapsulation_packet(0, length_octets, bytes(self.random.randint(0, 40)) if length_octets else b"")

    def next_packet(self, time_ns: Callable[[], int]) -> bytes:
        traffic, random = self.traffic, self.random
        octets = random.randint(traffic.shortest_packet_octets, traffic.longest_packet_octets)
        if random.random() * (1 - traffic.idle_packet_share - traffic.cut_idle_share) < traffic.encapsulation_share:
            length_octets = random.choice((1, 2, 4) if octets < 256 else (2, 4))
            data = random.randbytes(octets - ENCAPSULATION_HEADER_OCTETS[length_octets])
            return encapsulation_packet(random.choice((1, 2, 3, 4, 7)), length_octets, data)
        application_process_id = random.choice(traffic.application_process_ids)
        count = self.counts[application_process_id]
        self.counts[application_process_id] = count + 1
        if traffic.time_stamped:
            data = _time_code(time_ns()) + random.randbytes(octets - 6 - CUC_OCTETS)
            return space_packet(application_process_id, count, data, secondary_header_flag=1)
        return space_packet(application_process_id, count, random.randbytes(octets - 6))


def make_packet_stream(
    traffic: VirtualChannelTraffic, zone_octets: int, zone_times_ns: Sequence[int], random: Random
) -> PacketStream:
    """Packets until every zone is full; the last packet may go on in a zone that is never sent.

    Args: zone_times_ns: when each zone is sent; packets that begin in it are stamped with it.
    """
    wanted = zone_octets * len(zone_times_ns)
    stream, starts, packets = bytearray(), [], []
    source = _Source(traffic, random)
    while len(stream) < wanted:
        at = len(stream)
        starts.append(at)
        left = zone_octets - at % zone_octets
        choice = random.random()
        if choice < traffic.cut_idle_share and left >= 7:
            stream += source.idle_space_packet(left + random.randint(1, 200))[:left]
        elif choice < traffic.cut_idle_share + traffic.idle_packet_share:
            stream += source.idle_packet()
        else:
            packet = source.next_packet(lambda at=at: zone_times_ns[at // zone_octets])  # type: ignore[misc]
            stream += packet
            if len(stream) <= wanted:
                packets.append(packet)
    zones, pointers = [], []
    for first in range(0, wanted, zone_octets):
        zones.append(bytes(stream[first : first + zone_octets]))
        index = bisect_left(starts, first)
        begins = index < len(starts) and starts[index] < first + zone_octets
        pointers.append(starts[index] - first if begins else NO_PACKET_START)
    return PacketStream(zones, pointers, tuple(packets))
