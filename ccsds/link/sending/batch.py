"""The batch face: many packets to frames, and frames to channel access data units, without an object for each.

Sources: CCSDS 132.0-B-3, 4.2; 732.0-B-5, 4.2; 131.0-B-5, sections 4, 9 and 10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ccsds import _native
from ccsds.errors import ConfigurationError, EncodeError
from ccsds.frames.tm import SECONDARY_HEADER
from ccsds.layout import Octets
from ccsds.link.managed_parameters import PhysicalChannel
from ccsds.link.sending.aos import AosChannel
from ccsds.link.sending.packet_zones import PacketRules, PacketZones
from ccsds.link.sending.tm import TmChannel

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["channel_coder", "packet_frames"]

_REFUSALS = {
    "version": "has a packet version number that is not valid here",
    "length": "states another length in its header, or none that can be",
    "too long": "is longer than the maximum",
}
_COUNTS = 1 << 28


def channel_coder(channel: PhysicalChannel) -> _native.ChannelCoder:
    """What makes channel access data units of the frames of this channel.

    Raises: ConfigurationError: frames of variable length, or a marker that is not whole octets.
    """
    if not channel.fixed_frame_length:
        raise ConfigurationError(f"{channel.frame_type} frames of variable length are not coded as those of telemetry")
    marker = "" if channel.synchronization is None else channel.synchronization.marker
    if len(marker) % 2:
        raise ConfigurationError(f"synchronization.marker {marker} is not whole octets, as a sender needs it")
    code = channel.reed_solomon
    kernel = None
    if code is not None:
        kernel = _native.ReedSolomon(code.error_correction, code.interleaving_depth, code.virtual_fill, code.basis)
    return _native.ChannelCoder(
        channel.frame_octets, bytes.fromhex(marker), channel.deinterleaving_depth, kernel, channel.randomizer
    )


def packet_frames(
    node: TmChannel | AosChannel,
    zones: PacketZones,
    rules: PacketRules,
    octets: Octets,
    offsets: NDArray[np.uint64],
    coder: _native.ChannelCoder | None,
) -> memoryview:
    """The frames that what waits and these packets fill; the rest waits.  Of one virtual channel, one after the other.

    Raises: EncodeError: one of them is no packet; then nothing is taken.  ValueError: offsets that cannot be.
    """
    offsets = np.ascontiguousarray(offsets, dtype=np.uint64)
    data = octets if isinstance(octets, bytes) else bytes(memoryview(octets))
    versions = sorted(rules.valid_packet_versions)
    refused = _native.check_packets(data, offsets, versions, rules.maximum_packet_octets)
    if refused is not None:
        number, why = refused
        raise EncodeError(f"{rules.name}: packet {number} of the batch {_REFUSALS[why]}")
    node.require_fields()
    pending, starts = zones.waiting
    frames = (len(pending) + int(offsets[-1] - offsets[0])) // zones.zone_octets
    made = _native.packet_frames(_shape(node, frames), pending, starts, data, offsets, coder)
    node.count_on(frames)
    first_id = node.link.new_unit_ids(len(offsets) - 1)
    zones.advance(frames, data, offsets, first_id)
    return memoryview(made)


def _shape(node: TmChannel | AosChannel, frames: int) -> dict[str, Any]:
    """The frames of a virtual channel as the kernel wants to know them; fields of users hold for the whole batch."""
    physical, insert = node.link.channel, node.link.insert_zone
    shape: dict[str, Any] = {
        "aos": isinstance(node, AosChannel),
        "wide_pointer": physical.issue >= 5,
        "header_error_control": physical.header_error_control is not None,
        "replay_flag": node.parameters.replay_flag,
        "frame_count_cycle": node.parameters.frame_count_cycle,
        "frame_octets": physical.frame_octets,
        "spacecraft_id": node.master.spacecraft_id,
        "virtual_channel_id": node.virtual_channel_id,
        "secondary_header": b"",
        "control_field": (node.control_field() or b"") if frames else bytes(4 * node.has_control_field),
        "insert_zones": b"",
        "insert_zone_octets": 0,
        "frame_error_control": physical.frame_error_control,
        "master_channel_frame_count": 0,
        "virtual_channel_frame_count": node.frame_count % _COUNTS,
        "frame_count_frozen": node.parameters.frame_count_frozen,
    }
    if isinstance(node, TmChannel):
        header = node.secondary_header
        if header is not None:
            value = header.value() if frames else bytes(header.octets)
            shape["secondary_header"] = SECONDARY_HEADER.pack_values(0, len(value)) + value
        shape["master_channel_frame_count"] = node.master.frame_count
    elif insert is not None:
        shape["insert_zone_octets"] = insert.octets
        shape["insert_zones"] = insert.take(frames)
    return shape
