"""Damaged downlinks with their truth, made from a seed: the independent judge of a receiving chain.

A transmitter that shares nothing with this package's receiver makes packets, frames, codeblocks and markers; damage is
done on purpose, piece by piece, so that what a correct receiver must deliver is known by bookkeeping, not by decoding.

    transmission = transmit(parameters, seed=1, frames=200)
    stream = impair(transmission, Impairments(symbol_errors=((16, 5), (17, 2)), bit_slips=1), seed=2)
    stream.octets, stream.truth.frames, stream.truth.corrected_symbols, stream.truth.virtual_channels

Every case is unambiguous: a place where a receiver may lose lock (a marker past tolerance, a slipped or cut frame,
noise, a turn of polarity) has at least two frames on either side with good markers and good content; nothing between
markers looks like a marker there; and what is past correction has been checked to lie within E of no codeword at all.
"""

from __future__ import annotations

from ccsds.testing.transmitter import (
    FrameType,
    Randomizer,
    ReedSolomon,
    Transmission,
    TransmitterParameters,
    VirtualChannelTraffic,
    transmit,
)
from ccsds.testing.transmitter.account import FramesAccount, VirtualChannelAccount, account_for
from ccsds.testing.transmitter.damage import Fate, FrameFate
from ccsds.testing.transmitter.demo import DemoDownlink, demo_downlink
from ccsds.testing.transmitter.impairments import Impairments, ReceiverSettings
from ccsds.testing.transmitter.parameters import ATTACHED_SYNC_MARKER
from ccsds.testing.transmitter.stream import CountRange, ImpairedStream, Truth, impair
from ccsds.testing.transmitter.suite import ImpairedCase, impaired_suite

__all__ = [
    "ATTACHED_SYNC_MARKER",
    "CountRange",
    "DemoDownlink",
    "Fate",
    "FrameFate",
    "FrameType",
    "FramesAccount",
    "ImpairedCase",
    "ImpairedStream",
    "Impairments",
    "Randomizer",
    "ReceiverSettings",
    "ReedSolomon",
    "Transmission",
    "TransmitterParameters",
    "Truth",
    "VirtualChannelAccount",
    "VirtualChannelTraffic",
    "account_for",
    "demo_downlink",
    "impair",
    "impaired_suite",
    "transmit",
]
