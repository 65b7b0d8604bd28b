"""A simulated transmitter: packets, frames, codeblocks and markers from a seed, with no part of the receiving chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from ccsds.testing.transmitter.coding import OctetArray, randomizer_octets, reed_solomon_check_symbols
from ccsds.testing.transmitter.frames import make_frames
from ccsds.testing.transmitter.parameters import (
    ATTACHED_SYNC_MARKER,
    FrameType,
    Randomizer,
    ReedSolomon,
    TransmitterParameters,
    VirtualChannelTraffic,
)

__all__ = [
    "FrameType",
    "Randomizer",
    "ReedSolomon",
    "Transmission",
    "TransmitterParameters",
    "VirtualChannelTraffic",
    "encode_frames",
    "transmit",
]


@dataclass(frozen=True, kw_only=True)
class Transmission:
    """What the transmitter sent.

    Attributes: octets: the CADUs back to back.  frames: the transfer frames in the same order.
                packets: of each virtual channel, the complete packets that are not idle, in order.
    """

    parameters: TransmitterParameters
    octets: bytes
    frames: tuple[bytes, ...]
    packets: Mapping[int, tuple[bytes, ...]]


def encode_frames(frames: Sequence[bytes], parameters: TransmitterParameters) -> OctetArray:
    """The CADUs of these frames: check symbols, randomizer, marker.

    Returns: uint8, shape (frames, parameters.channel_access_data_unit_octets).
    """
    size, marker = parameters.frame_octets, len(ATTACHED_SYNC_MARKER)
    units = np.zeros((len(frames), parameters.channel_access_data_unit_octets), dtype=np.uint8)
    units[:, :marker] = np.frombuffer(ATTACHED_SYNC_MARKER, dtype=np.uint8)
    information = np.frombuffer(b"".join(frames), dtype=np.uint8).reshape(len(frames), size)
    units[:, marker : marker + size] = information
    if parameters.reed_solomon is not None:
        units[:, marker + size :] = reed_solomon_check_symbols(information, parameters.reed_solomon)
    sequence = randomizer_octets(parameters.randomizer, parameters.coded_octets)
    units[:, marker:] ^= np.frombuffer(sequence, dtype=np.uint8)
    return units


def transmit(parameters: TransmitterParameters, seed: int, frames: int = 1000) -> Transmission:
    """Send `frames` frames of traffic drawn from `seed`; the same arguments give the same octets."""
    if frames < 1:
        raise ValueError(f"frames is {frames}, not at least 1")
    made, packets = make_frames(parameters, frames, Random(seed))
    return Transmission(
        parameters=parameters, octets=encode_frames(made, parameters).tobytes(), frames=made, packets=packets
    )
