"""The managed parameters of the receiving end that matches what the independent transmitter sends."""

from __future__ import annotations

from typing import Any

from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.testing.impaired_stream import FrameType, Randomizer, ReceiverSettings, TransmitterParameters

__all__ = ["channel_of"]


def channel_of(sent: TransmitterParameters, settings: ReceiverSettings) -> PhysicalChannel:
    """The physical channel for a receiver of what `sent` describes, its marker search set as `settings` assume."""
    aos = sent.frame_type is FrameType.AOS
    channels = [{"virtual_channel_id": traffic.virtual_channel_id} for traffic in sent.virtual_channels]
    channel: dict[str, Any] = {
        "frame_type": "AOS" if aos else "TM",
        "frame_octets": sent.frame_octets,
        "synchronization": {
            "tolerated_bit_errors": settings.tolerated_marker_errors,
            "flywheel_frames": settings.flywheel_frames,
        },
        "frame_error_control": sent.frame_error_control_field,
        "header_error_control": "check" if sent.frame_header_error_control else None,
        "insert_zone_octets": sent.insert_zone_octets,
        "master_channels": [
            {
                "spacecraft_id": sent.spacecraft_id,
                "operational_control_field": aos and sent.operational_control_field,
                "virtual_channels": channels,
            }
        ],
    }
    if aos:
        channel["standard_issue"] = sent.standard_issue
    if sent.randomizer is not Randomizer.NONE:
        channel["randomizer"] = "short" if sent.randomizer is Randomizer.SHORT else "long"
    if sent.reed_solomon is not None:
        channel["reed_solomon"] = {
            "error_correction": sent.reed_solomon.correctable_symbols,
            "interleaving_depth": sent.reed_solomon.interleaving_depth,
            "virtual_fill": sent.reed_solomon.virtual_fill_octets,
            "basis": "dual" if sent.reed_solomon.dual_basis else "conventional",
        }
    built = mission_from_dict({"name": "transmitter", "physical_channel": channel}).physical_channel
    assert built is not None
    return built
