"""The downlink of `ccsds demo`: one noisy pass of a small spacecraft."""

from __future__ import annotations

from dataclasses import dataclass

from ccsds.testing.transmitter import transmit
from ccsds.testing.transmitter.impairments import Impairments
from ccsds.testing.transmitter.parameters import FrameType, TransmitterParameters, VirtualChannelTraffic
from ccsds.testing.transmitter.stream import ImpairedStream, impair

__all__ = ["DemoDownlink", "demo_downlink"]

START_TIME_NS = 1_795_514_400_000_000_000  # 2026-11-24T10:00:00Z
SYMBOL_RATE_HZ = 1e6
DATAGRAM_OCTETS = 1024  # not a divisor of the CADU: nothing in the datagrams is aligned
GROUND_DELAY_NS = 2_300_000  # demodulator and network
# The signal over the pass: low at the horizon, a dip where an antenna is in shadow.
EB_N0_DB = (6.4, 7.2, 8.2, 9.0, 9.5, 9.6, 4.6, 9.6, 9.4, 8.8, 8.0, 7.0, 6.2)

PASS = Impairments(
    eb_n0_db=EB_N0_DB,
    marker_errors=((9, 1),),
    bit_slips=1,
    cut_frames=1,
    repeated_frames=(1,),
    foreign_frames=1,
    inverted_stretches=1,
    noise_gaps=(20011,),
    leading_noise_bits=50021,
    trailing_noise_bits=30011,
)


@dataclass(frozen=True, kw_only=True)
class DemoDownlink:
    """A pass as a ground station hands it on.

    Attributes: pieces: (time of reception in ns since 1970, octets) of one datagram each, in order.
                stream: all of it in one, with its truth.
    """

    pieces: tuple[tuple[int, bytes], ...]
    stream: ImpairedStream
    parameters: TransmitterParameters


def demo_downlink(seed: int = 1, frames: int = 2400) -> DemoDownlink:
    """One pass: about 3 MB and 25 s at the default number of frames (at least 60).

    AOS with housekeeping on virtual channel 0, science in long packets on 1, idle frames on 63; Reed-Solomon E=16,
    I=5, short randomizer; time stamps (CUC 4 + 3 octets) in secondary headers.
    """
    parameters = TransmitterParameters(
        frame_type=FrameType.AOS,
        spacecraft_id=42,
        virtual_channels=(
            VirtualChannelTraffic(
                virtual_channel_id=0,
                weight=0.25,
                application_process_ids=(16, 17, 18, 25),
                shortest_packet_octets=40,
                longest_packet_octets=260,
                time_stamped=True,
            ),
            VirtualChannelTraffic(
                virtual_channel_id=1,
                weight=0.6,
                application_process_ids=(300, 301),
                shortest_packet_octets=800,
                longest_packet_octets=9000,
                idle_packet_share=0.02,
                time_stamped=True,
            ),
            VirtualChannelTraffic(virtual_channel_id=63, weight=0.15),
        ),
        symbol_rate_hz=SYMBOL_RATE_HZ,
        start_time_ns=START_TIME_NS,
    )
    stream = impair(transmit(parameters, seed, frames), PASS, seed + 1)
    pieces = []
    for first in range(0, len(stream.octets), DATAGRAM_OCTETS):
        octets = stream.octets[first : first + DATAGRAM_OCTETS]
        received = START_TIME_NS + GROUND_DELAY_NS + int((first + len(octets)) * 8e9 / SYMBOL_RATE_HZ)
        pieces.append((received, octets))
    return DemoDownlink(pieces=tuple(pieces), stream=stream, parameters=parameters)
