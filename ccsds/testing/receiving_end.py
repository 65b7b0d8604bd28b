"""The managed parameters that match what the independent transmitter sends."""

from __future__ import annotations

from ccsds.link.managed_parameters import (
    MasterChannel,
    PhysicalChannel,
    ReedSolomon,
    Synchronization,
    VirtualChannel,
)
from ccsds.testing.impaired_stream import FrameType, Randomizer, ReceiverSettings, TransmitterParameters

__all__ = ["channel_of"]


def channel_of(sent: TransmitterParameters, settings: ReceiverSettings) -> PhysicalChannel:
    """The receiving end of a transmitter."""
    aos = sent.frame_type is FrameType.AOS
    code = sent.reed_solomon
    return PhysicalChannel(
        frame_type="AOS" if aos else "TM",
        frame_octets=sent.frame_octets,
        synchronization=Synchronization(
            tolerated_bit_errors=settings.tolerated_marker_errors, flywheel_frames=settings.flywheel_frames
        ),
        randomizer={Randomizer.NONE: None, Randomizer.SHORT: "short", Randomizer.LONG: "long"}[sent.randomizer],
        reed_solomon=code
        and ReedSolomon(
            error_correction=code.correctable_symbols,
            interleaving_depth=code.interleaving_depth,
            virtual_fill=code.virtual_fill_octets,
            basis="dual" if code.dual_basis else "conventional",
        ),
        frame_error_control=sent.frame_error_control_field,
        header_error_control="check" if sent.frame_header_error_control else None,
        insert_zone_octets=sent.insert_zone_octets,
        master_channels=(
            MasterChannel(
                spacecraft_id=sent.spacecraft_id,
                operational_control_field=aos and sent.operational_control_field,
                virtual_channels=tuple(
                    VirtualChannel(virtual_channel_id=traffic.virtual_channel_id) for traffic in sent.virtual_channels
                ),
            ),
        ),
    )
