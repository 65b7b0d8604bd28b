"""A named set of damaged streams that covers codes, frame formats and impairments, alone and together."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ccsds.testing.transmitter import transmit
from ccsds.testing.transmitter.impairments import Impairments, ReceiverSettings
from ccsds.testing.transmitter.parameters import (
    FrameType,
    Randomizer,
    ReedSolomon,
    TransmitterParameters,
    VirtualChannelTraffic,
)
from ccsds.testing.transmitter.stream import ImpairedStream, impair

__all__ = ["ImpairedCase", "impaired_suite"]

DEPTHS = (1, 2, 3, 4, 5, 8)

ALONE: dict[str, Impairments] = {
    "clean": Impairments(),
    "symbol-errors": Impairments(symbol_errors=((1, 4), (7, 3), (16, 4))),
    "past-correction": Impairments(symbol_errors=((17, 2), (18, 1), (40, 1), (200, 1))),
    "fading": Impairments(eb_n0_db=(9, 6, 4.8, 8)),
    "marker-errors-tolerated": Impairments(marker_errors=((1, 2), (2, 2), (3, 2))),
    "markers-lost": Impairments(marker_errors=((4, 1), (9, 1), (16, 1))),
    "bit-slips": Impairments(bit_slips=4),
    "cut-frames": Impairments(cut_frames=3),
    "dropped-frames": Impairments(dropped_frames=(1, 1, 3)),
    "repeated-frames": Impairments(repeated_frames=(1, 1, 2)),
    "foreign-frames": Impairments(foreign_frames=4),
    "inverted-stretches": Impairments(inverted_stretches=2),
    "inverted": Impairments(invert_all=True),
    "noise-gaps": Impairments(noise_gaps=(1, 7, 9, 4001)),
    "truncated-end": Impairments(truncated_end_bits=300 + 8 * 2 * 16),
    "noise-of-many-frames": Impairments(noise_gaps=(30011,), leading_noise_bits=20003, trailing_noise_bits=9001),
    **{f"bit-offset-{bits}": Impairments(leading_noise_bits=bits) for bits in range(1, 8)},
}

MIXED = Impairments(
    symbol_errors=((3, 6), (16, 4), (17, 2)),
    marker_errors=((1, 3), (3, 3), (8, 2)),
    bit_slips=2,
    cut_frames=2,
    dropped_frames=(1, 2, 4),
    repeated_frames=(1, 1, 3),
    foreign_frames=3,
    inverted_stretches=1,
    noise_gaps=(13, 5007),
    leading_noise_bits=1237,
    trailing_noise_bits=333,
)


@dataclass(frozen=True, kw_only=True)
class ImpairedCase:
    """One stream of the suite, made when asked for."""

    name: str
    parameters: TransmitterParameters
    impairments: Impairments
    frames: int
    seed: int
    receiver: ReceiverSettings = field(default_factory=ReceiverSettings)

    def make(self) -> ImpairedStream:
        """The damaged stream and its truth."""
        transmission = transmit(self.parameters, self.seed, self.frames)
        return impair(transmission, self.impairments, self.seed + 1, self.receiver)


def _parameters(frame_type: FrameType, **changes: Any) -> TransmitterParameters:
    tm = frame_type is FrameType.TM
    channels = (
        VirtualChannelTraffic(virtual_channel_id=0, application_process_ids=(1, 40, 2046), longest_packet_octets=300),
        VirtualChannelTraffic(
            virtual_channel_id=3,
            application_process_ids=(800,),
            shortest_packet_octets=200,
            longest_packet_octets=6000,
            encapsulation_share=0.2,
            idle_packet_share=0.1,
            only_idle_data_share=0.1,
        ),
        VirtualChannelTraffic(virtual_channel_id=7 if tm else 63, weight=0.4, only_idle_data_share=1.0),
    )
    spacecraft_id = {FrameType.TM: 587, FrameType.AOS: 157, FrameType.USLP: 50_587}[frame_type]
    base: dict[str, Any] = {"frame_type": frame_type, "spacecraft_id": spacecraft_id, "virtual_channels": channels}
    return TransmitterParameters(**(base | changes))


def _codes(frame_type: FrameType) -> Iterator[tuple[str, TransmitterParameters, Impairments]]:
    kind = frame_type.value.lower()
    # The code does not know what is in a frame: of USLP a few cases are enough.
    depths = (1, 5) if frame_type is FrameType.USLP else DEPTHS
    for depth, errors, randomizer in itertools.product(depths, (16, 8), Randomizer):
        code = ReedSolomon(correctable_symbols=errors, interleaving_depth=depth)
        damage = dataclasses.replace(CODED, symbol_errors=((errors // 2, 3), (errors, 3), (errors + 1, 2)))
        name = f"{kind}-code-e{errors}-i{depth}-{randomizer.value}"
        yield name, _parameters(frame_type, reed_solomon=code, randomizer=randomizer), damage
    for depth, errors, fill in itertools.product(depths, (16, 8), (1, 37, 150)):
        code = ReedSolomon(correctable_symbols=errors, interleaving_depth=depth, virtual_fill_octets=fill * depth)
        damage = dataclasses.replace(CODED, symbol_errors=((errors, 3), (errors + 1, 2)))
        yield f"{kind}-fill-e{errors}-i{depth}-q{fill * depth}", _parameters(frame_type, reed_solomon=code), damage
    for depth, errors in itertools.product((1, 5), (16, 8)):
        code = ReedSolomon(correctable_symbols=errors, interleaving_depth=depth, dual_basis=False)
        damage = dataclasses.replace(CODED, symbol_errors=((errors, 3), (errors + 1, 2)))
        yield f"{kind}-conventional-e{errors}-i{depth}", _parameters(frame_type, reed_solomon=code), damage


CODED = Impairments(marker_errors=((2, 2),), bit_slips=1, cut_frames=1, inverted_stretches=1, leading_noise_bits=101)


def _formats(frame_type: FrameType) -> Iterator[tuple[str, TransmitterParameters, Impairments]]:
    """Fields of frames that come and go, with damage that their reading must survive."""
    kind = frame_type.value.lower()
    base = _parameters(frame_type, reed_solomon=ReedSolomon(interleaving_depth=2))
    changes: dict[str, dict[str, Any]] = {
        "no-control-field": {"operational_control_field": False},
        "no-error-control": {"frame_error_control_field": False},
        "bare": {"operational_control_field": False, "frame_error_control_field": False},
        "cut-idle-packets": {
            "virtual_channels": (
                VirtualChannelTraffic(virtual_channel_id=1, longest_packet_octets=100, cut_idle_share=0.2),
            )
        },
        "encapsulation": {
            "virtual_channels": (
                VirtualChannelTraffic(
                    virtual_channel_id=2, encapsulation_share=0.6, idle_packet_share=0.4, longest_packet_octets=700
                ),
            )
        },
    }
    if frame_type is FrameType.TM:
        changes["secondary-header"] = {"secondary_header_octets": 8}
        changes["longest-secondary-header"] = {"secondary_header_octets": 64}
    elif frame_type is FrameType.USLP:
        changes["insert-zone"] = {"insert_zone_octets": 8}
        for octets in range(8):
            traffic = [dataclasses.replace(each, first_frame_count=-9) for each in base.virtual_channels]
            changes[f"count-{octets}"] = {"frame_count_octets": octets, "virtual_channels": tuple(traffic)}
    else:
        changes["header-error-control"] = {"frame_header_error_control": True}
        changes["insert-zone"] = {"insert_zone_octets": 8, "frame_header_error_control": True}
        changes["issue-5"] = {"spacecraft_id": 801, "standard_issue": 5}
        for name, cycle, first in (("count-wraps", False, (1 << 24) - 9), ("cycle-counts", True, (1 << 24) - 9)):
            channel = VirtualChannelTraffic(virtual_channel_id=5, first_frame_count=first)
            changes[name] = {"frame_count_cycle": cycle, "virtual_channels": (channel,)}
        channel = VirtualChannelTraffic(virtual_channel_id=5, first_frame_count=(1 << 28) - 9)
        changes["cycle-wraps"] = {"frame_count_cycle": True, "virtual_channels": (channel,)}
    for name, change in changes.items():
        yield f"{kind}-format-{name}", dataclasses.replace(base, **change), MIXED


def _uncoded(frame_type: FrameType) -> Iterator[tuple[str, TransmitterParameters, Impairments]]:
    kind = frame_type.value.lower()
    damage = dataclasses.replace(MIXED, symbol_errors=(), frame_error_control_errors=4)
    for randomizer, octets in itertools.product(Randomizer, (128, 1115)):
        parameters = _parameters(frame_type, reed_solomon=None, randomizer=randomizer, uncoded_frame_octets=octets)
        yield f"{kind}-uncoded-{octets}-{randomizer.value}", parameters, damage
    parameters = _parameters(frame_type, reed_solomon=None, frame_error_control_field=False)
    damage = Impairments(marker_errors=((2, 3),), dropped_frames=(2,), repeated_frames=(1,), inverted_stretches=1)
    yield f"{kind}-uncoded-unchecked", parameters, damage


def _impairments(frame_type: FrameType) -> Iterator[tuple[str, TransmitterParameters, Impairments]]:
    kind = frame_type.value.lower()
    parameters = _parameters(frame_type, reed_solomon=ReedSolomon(interleaving_depth=2))
    for name, damage in ALONE.items():
        yield f"{kind}-alone-{name}", parameters, damage
    long = _parameters(frame_type, reed_solomon=ReedSolomon(interleaving_depth=2), randomizer=Randomizer.LONG)
    yield f"{kind}-alone-noise-of-whole-octets", long, OCTETS_OF_NOISE
    for number in range(4):
        yield f"{kind}-mixed-{number}", _parameters(frame_type, randomizer=Randomizer.LONG), MIXED


OCTETS_OF_NOISE = Impairments(noise_gaps=(8, 16, 264))

RECEIVERS = {
    "exact-markers": ReceiverSettings(tolerated_marker_errors=0),
    "no-flywheel": ReceiverSettings(flywheel_frames=0),
    "tolerant": ReceiverSettings(tolerated_marker_errors=4),
}


def impaired_suite(seed: int, frames: int = 80) -> dict[str, ImpairedCase]:
    """Cases by name: all frame types with every interleaving depth, E and randomizer, virtual fill, both bases,
    frame formats, uncoded frames, each impairment alone, all of them together, and other receivers.

    Args: frames: of each case, at least 80 so that all damage finds its place.
    """
    random = Random(seed)
    cases: dict[str, ImpairedCase] = {}

    def add(name: str, parameters: TransmitterParameters, damage: Impairments, **more: Any) -> None:
        case: dict[str, Any] = {"frames": frames, "seed": random.getrandbits(32)} | more
        cases[name] = ImpairedCase(name=name, parameters=parameters, impairments=damage, **case)

    for frame_type in FrameType:
        for make in (_codes, _formats, _uncoded, _impairments):
            for name, parameters, damage in make(frame_type):
                add(name, parameters, damage)
        for name, receiver in RECEIVERS.items():
            parameters = _parameters(frame_type, reed_solomon=ReedSolomon(interleaving_depth=1))
            # A receiver that tolerates less loses lock more often, and each time needs frames around it.
            add(f"{frame_type.value.lower()}-receiver-{name}", parameters, MIXED, receiver=receiver, frames=2 * frames)
        # With the short randomizer these frames decode one octet early too: no flywheel may go there.
        parameters = _parameters(frame_type, reed_solomon=ReedSolomon(interleaving_depth=2))
        name = f"{frame_type.value.lower()}-receiver-noise-of-whole-octets"
        add(name, parameters, OCTETS_OF_NOISE, receiver=RECEIVERS["no-flywheel"])
    return cases
