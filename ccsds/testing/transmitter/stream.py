"""Damages a transmission and keeps the books: the stream, and what a correct receiver makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np

from ccsds.testing.transmitter import Transmission, TransmitterParameters, encode_frames
from ccsds.testing.transmitter.account import VirtualChannelAccount, account_for
from ccsds.testing.transmitter.coding import OctetArray
from ccsds.testing.transmitter.damage import Damage, Fate, FrameFate, marker_look_alikes
from ccsds.testing.transmitter.frames import make_foreign_frame
from ccsds.testing.transmitter.impairments import Impairments, Plan, ReceiverSettings, make_plan

__all__ = ["CountRange", "ImpairedStream", "Truth", "impair"]

VIRTUAL_CHANNEL_COLUMNS = (
    *("frames", "repeated_frames", "counter_gaps", "lost_frames", "only_idle_data_frames"),
    *("packets", "packet_octets", "idle_packets", "sha256"),
)


@dataclass(frozen=True)
class CountRange:
    """A count that correct receivers may differ in, within `minimum` and `maximum`."""

    minimum: int
    maximum: int

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.minimum <= count <= self.maximum


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What a correct receiver makes of the stream.

    Attributes:
        frames: own frames with good content that must be delivered, in order, repeated ones included.
        foreign_frames: frames of another spacecraft or version that are decoded and set aside.
        corrected_symbols: over all frames that can be decoded, foreign and repeated ones included.
        uncorrectable_codeblocks: at least the frames past correction with good markers; slipped and cut frames and
            noise may show as more.  A codeblock holds one frame, whatever the interleaving depth.
        frame_error_control_errors: the same for uncoded frames.
        virtual_channels: the account of each, with the meaning that VirtualChannelAccount gives.
        fates: what became of each frame in the stream.
    """

    frames: tuple[bytes, ...]
    foreign_frames: int
    corrected_symbols: int
    uncorrectable_codeblocks: CountRange
    frame_error_control_errors: CountRange
    virtual_channels: dict[int, VirtualChannelAccount]
    fates: tuple[FrameFate, ...]


@dataclass(frozen=True, kw_only=True)
class ImpairedStream:
    """A damaged downlink.  `octets` holds `bit_length` bits, first bit first; the last octet is filled with zeros."""

    octets: bytes
    bit_length: int
    truth: Truth
    parameters: TransmitterParameters
    receiver: ReceiverSettings

    def expected_report(self) -> dict[str, Any]:
        """What `ccsds replay --json` must say, as far as it is certain: without the counts that have a range."""
        rows: dict[str, list[dict[str, Any]]] = {
            "virtual_channels": [],
            "application_processes": [],
            "encapsulation": [],
        }
        for account in self.truth.virtual_channels.values():
            key = {"spacecraft_id": self.parameters.spacecraft_id, "virtual_channel_id": account.virtual_channel_id}
            rows["virtual_channels"].append(key | {name: getattr(account, name) for name in VIRTUAL_CHANNEL_COLUMNS})
            for process_id, values in sorted(account.application_processes.items()):
                columns = zip(("packets", "packet_octets", "sequence_gaps", "missing_packets"), values, strict=True)
                rows["application_processes"].append(key | {"application_process_id": process_id} | dict(columns))
            for protocol_id, values in sorted(account.encapsulation.items()):
                columns = zip(("packets", "packet_octets"), values, strict=True)
                rows["encapsulation"].append(key | {"protocol_id": protocol_id} | dict(columns))
        channels = self.truth.virtual_channels.values()
        totals = {
            "foreign_frames": self.truth.foreign_frames,
            "corrected_symbols": self.truth.corrected_symbols,
            "packets": sum(account.packets for account in channels),
            "packet_octets": sum(account.packet_octets for account in channels),
        }
        return {"format": "ccsds-replay/1", **rows, "totals": totals}


def impair(
    transmission: Transmission,
    impairments: Impairments,
    seed: int,
    receiver: ReceiverSettings = ReceiverSettings(),  # noqa: B008 (frozen)
) -> ImpairedStream:
    """Damage what was sent; the same arguments give the same stream.

    Args: receiver: what the truth is true for: markers with more errors than it tolerates are lost to it.
    Raises: ConfigurationError: too few frames for all of it, or damage whose outcome would be open.
    """
    parameters = transmission.parameters
    impairments.check(parameters)
    random = Random(seed)
    foreign = [
        make_foreign_frame(random.choice(transmission.frames), parameters, random)
        for _ in range(impairments.foreign_frames)
    ]
    units = _units(transmission, foreign)

    @cache
    def is_plain(source: int) -> bool:
        return not marker_look_alikes(np.unpackbits(units[source])[1:], receiver.tolerated_marker_errors)

    plan = make_plan(impairments, receiver, len(transmission.frames), is_plain, random)
    damage = Damage(units[np.array(plan.sources)], plan, parameters, receiver, random)
    damage.add_symbol_errors()
    damage.add_channel_noise(impairments.eb_n0_db, random.getrandbits(64))
    damage.add_marker_errors()
    damage.add_bit_errors()
    damage.invert()
    damage.slip_and_cut()
    damage.truncate(impairments.truncated_end_bits)
    bits, offsets = damage.assemble(impairments)
    fates = _fates(plan, damage, offsets)
    return ImpairedStream(
        octets=np.packbits(bits).tobytes(),
        bit_length=len(bits),
        truth=_truth(transmission, foreign, plan, fates, impairments, receiver),
        parameters=parameters,
        receiver=receiver,
    )


def _fates(plan: Plan, damage: Damage, offsets: list[int]) -> tuple[FrameFate, ...]:
    """What became of each slot."""
    slots = zip(offsets, plan.sources, damage.fates, damage.corrected, plan.inverted, strict=True)
    return tuple(
        FrameFate(offset, source if source >= 0 else None, fate, corrected, plan.marker_errors.get(slot, 0), inverted)
        for slot, (offset, source, fate, corrected, inverted) in enumerate(slots)
    )


def _units(transmission: Transmission, foreign: list[bytes]) -> OctetArray:
    """The CADUs of own and foreign frames."""
    size = transmission.parameters.channel_access_data_unit_octets
    units = np.frombuffer(transmission.octets, dtype=np.uint8).reshape(-1, size)
    # Foreign frames come last and backwards, so that -1, -2, ... are their indexes.
    return np.concatenate([units, encode_frames(foreign[::-1], transmission.parameters)])


def _truth(
    transmission: Transmission,
    foreign: list[bytes],
    plan: Plan,
    fates: tuple[FrameFate, ...],
    impairments: Impairments,
    receiver: ReceiverSettings,
) -> Truth:
    parameters = transmission.parameters
    delivered_fates = {Fate.INTACT, Fate.CORRECTED}
    if receiver.flywheel_frames:
        delivered_fates.add(Fate.MARKER_LOST)
    frames, foreign_frames, corrected = [], 0, 0
    for source, fate in zip(plan.sources, fates, strict=True):
        if fate.fate in delivered_fates:
            corrected += fate.corrected_symbols
            if source < 0:
                foreign_frames += 1
            else:
                frames.append(transmission.frames[source])
    account = account_for(frames, parameters)
    kinds = [fate.fate for fate in fates]
    certain = kinds.count(Fate.PAST_CORRECTION) + kinds.count(Fate.FRAME_ERROR_CONTROL_ERROR)
    count = CountRange(certain, certain + _doubtful(kinds, impairments, parameters))
    none = CountRange(0, 0)
    coded = parameters.reed_solomon is not None
    return Truth(
        frames=tuple(frames),
        foreign_frames=foreign_frames,
        corrected_symbols=corrected,
        uncorrectable_codeblocks=count if coded else none,
        frame_error_control_errors=none if coded else count,
        virtual_channels=account.virtual_channels,
        fates=fates,
    )


def _doubtful(kinds: list[Fate], impairments: Impairments, parameters: TransmitterParameters) -> int:
    """The most codeblocks that are none which a receiver may read: as many as fit into what is disturbed, and one."""
    unit_bits = 8 * parameters.channel_access_data_unit_octets
    most = 2 * (kinds.count(Fate.SLIPPED) + kinds.count(Fate.CUT)) + kinds.count(Fate.MARKER_LOST)
    for bits in (*impairments.noise_gaps, impairments.leading_noise_bits, impairments.trailing_noise_bits):
        most += bits and -(-bits // unit_bits) + 1
    return most
