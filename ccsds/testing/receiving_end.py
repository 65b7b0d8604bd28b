"""The managed parameters of the receiving end that matches what the independent transmitter sends."""

from __future__ import annotations

from typing import Any

from ccsds.link.managed_parameters import PhysicalChannel, mission_from_dict
from ccsds.testing.impaired_stream import FrameType, Randomizer, ReceiverSettings, TransmitterParameters
from ccsds.testing.transmitter.map_frames import MapLink

__all__ = ["channel_of", "map_channel_of"]


def channel_of(sent: TransmitterParameters, settings: ReceiverSettings) -> PhysicalChannel:
    """The physical channel for a receiver of what `sent` describes, its marker search set as `settings` assume."""
    aos = sent.frame_type is FrameType.AOS
    channels = [{"virtual_channel_id": traffic.virtual_channel_id} for traffic in sent.virtual_channels]
    channel: dict[str, Any] = {
        "frame_type": sent.frame_type.value,
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


def map_channel_of(link: MapLink) -> PhysicalChannel:
    """The physical channel for a receiver of TC frames, or of USLP frames of variable length, as `link` has them."""
    tc = link.frame_type == "TC"
    channels: dict[int, dict[str, Any]] = {}
    for (virtual_channel_id, map_id), service in link.services.items():
        channel = channels.setdefault(virtual_channel_id, {"virtual_channel_id": virtual_channel_id, "maps": []})
        if map_id is None:
            channel["service"] = service
            continue
        if tc:
            channel["segment_header"] = True
        else:
            channel["frame_count_octets_sequence_controlled"] = link.count_octets[0]
            channel["frame_count_octets_expedited"] = link.count_octets[1]
            channel["truncated_frame_octets"] = link.truncated_octets
        channel["maps"].append({"map_id": map_id, "service": service})
    tree: dict[str, Any] = {
        "frame_type": link.frame_type,
        "frame_octets": link.maximum_octets,
        "frame_error_control": link.frame_error_control,
        "checked_before": True,
        "master_channels": [{"spacecraft_id": link.spacecraft_id, "virtual_channels": list(channels.values())}],
    }
    if not tc:
        tree["variable_frame_length"] = True
    built = mission_from_dict({"name": "transmitter", "physical_channel": tree}).physical_channel
    assert built is not None
    return built
