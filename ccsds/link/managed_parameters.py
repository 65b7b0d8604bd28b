"""Managed parameters: what both ends of a link agreed on beforehand, as a frozen tree.

Sources: CCSDS 131.0-B-5 section 12, 132.0-B-3 section 5, 732.0-B-5 section 5.  Values a standard leaves
to the mission have the default that most missions use; the key is named in every error.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ccsds.errors import ConfigurationError

__all__ = [
    "MasterChannel",
    "Mission",
    "PhysicalChannel",
    "ReedSolomon",
    "Synchronization",
    "VirtualChannel",
    "mission_from_dict",
    "mission_from_toml",
]

Service = Literal["packets", "access", "bitstream"]
PacketVersion = Literal[0, 7]
_MAXIMUM_FRAME_OCTETS = 1 << 16


class _Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the tree."""


class VirtualChannel(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One virtual channel (132.0-B-3 tables 5-3 and 5-4, 732.0-B-5 table 5-3).

    service: what it carries: packets (TM packets, AOS M_PDU), access (VCA data as they are), bitstream (AOS B_PDU).
    secondary_header_octets: TM, where the length field of the secondary header lies.
    operational_control_field: AOS, an OCF is there (TM announces it in each frame).
    valid_packet_versions: packet version numbers that may occur: 0 space packets, 7 encapsulation packets.
    maximum_packet_octets: a packet that says it is longer is not believed.
    deliver_incomplete_packets: deliver the beginning of packets that were lost, marked so.
    remove_repeated_frames: ignore a frame that equals, octet for octet, the one before it.
    frame_count_frozen: the counter of this channel does not count.
    """

    virtual_channel_id: Annotated[int, Meta(ge=0, le=63)]
    name: str = ""
    service: Service = "packets"
    secondary_header_octets: Annotated[int, Meta(ge=2, le=64)] | None = None
    operational_control_field: bool | None = None
    valid_packet_versions: Annotated[tuple[PacketVersion, ...], Meta(min_length=1)] = (0, 7)
    maximum_packet_octets: Annotated[int, Meta(ge=7, le=1 << 24)] = 65_542
    deliver_incomplete_packets: bool = False
    remove_repeated_frames: bool = True
    frame_count_frozen: bool = False

    def has_operational_control_field(self, master_channel: MasterChannel) -> bool:
        """AOS: what the virtual channel says, or else its master channel."""
        own = self.operational_control_field
        return master_channel.operational_control_field if own is None else own


class MasterChannel(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One spacecraft on the link.  Virtual channels that are not listed carry packets, by the defaults.

    operational_control_field: AOS, for all its virtual channels that do not say otherwise.
    """

    spacecraft_id: Annotated[int, Meta(ge=0, le=1023)]
    name: str = ""
    operational_control_field: bool = False
    virtual_channels: tuple[VirtualChannel, ...] = ()


class Synchronization(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attached sync marker and how it is looked for (131.0-B-5 section 9).

    marker: in hexadecimal, most significant bit first.
    tolerated_bit_errors: in a marker.  flywheel_frames: missing markers in a row that are bridged.
    maximum_slip_bits: how early or late a marker may come.  accept_inverted: turn inverted frames.
    """

    marker: Annotated[str, Meta(pattern="^[0-9a-fA-F]{2,16}$")] = "1acffc1d"
    tolerated_bit_errors: Annotated[int, Meta(ge=0, le=15)] = 2
    flywheel_frames: Annotated[int, Meta(ge=0, le=255)] = 3
    maximum_slip_bits: Annotated[int, Meta(ge=0, le=7)] = 2
    accept_inverted: bool = True


class ReedSolomon(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reed-Solomon code of the codeblocks (131.0-B-5 section 4).

    error_correction: symbols per codeword (E).  virtual_fill: octets per codeblock that are not sent.
    """

    error_correction: Literal[16, 8] = 16
    interleaving_depth: Literal[1, 2, 3, 4, 5, 8] = 1
    virtual_fill: Annotated[int, Meta(ge=0)] = 0
    basis: Literal["dual", "conventional"] = "dual"

    @property
    def frame_octets(self) -> int:
        """Octets of the frame in a codeblock."""
        return (255 - 2 * self.error_correction) * self.interleaving_depth - self.virtual_fill

    @property
    def block_octets(self) -> int:
        """Octets of a codeblock as it is sent."""
        return 255 * self.interleaving_depth - self.virtual_fill


class PhysicalChannel(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One physical channel, as far as it is in the recording or stream that is given.

    frame_octets: of one transfer frame, whatever stands in it.
    synchronization: markers are there; without it, frames (or codeblocks) come back to back.
    randomizer: short (255 bits) or long (131071 bits, 131.0-B-5 and later).
    deinterleaving_depth: a frame is written in rows of that many columns (see the Blue Ghost profile).
    frame_error_control: an FECF ends the frame.
    checked_before: frames with errors were removed before they were recorded.
    header_error_control, insert_zone_octets: of AOS frames.
    standard_issue: of AOS frames, the issue of 732.0-B that the spacecraft follows; left out, 5.  Issue 5 has a
        spacecraft identifier of ten bits and a first header pointer of sixteen, up to issue 4 they have eight and
        eleven.  The two special pointers of eleven bits are understood under issue 5 too, in zones that they cannot
        point into.
    late_frame_window: AOS, a frame overtaken by at most that many others is late; further back is a reset.
    master_channels: the spacecraft on the link; none listed: any is taken.
    """

    frame_type: Literal["TM", "AOS"]
    frame_octets: Annotated[int, Meta(ge=13, le=_MAXIMUM_FRAME_OCTETS)]
    synchronization: Synchronization | None = None
    randomizer: Literal["short", "long"] | None = None
    reed_solomon: ReedSolomon | None = None
    deinterleaving_depth: Annotated[int, Meta(ge=1, le=255)] = 1
    frame_error_control: bool = False
    checked_before: bool = False
    header_error_control: Literal["check", "correct"] | None = None
    insert_zone_octets: Annotated[int, Meta(ge=0, le=2048)] = 0
    standard_issue: Annotated[int, Meta(ge=1, le=5)] | None = None
    late_frame_window: Annotated[int, Meta(ge=0, le=65_536)] = 64
    master_channels: tuple[MasterChannel, ...] = ()

    def __post_init__(self) -> None:
        code = self.reed_solomon
        if code is not None and code.virtual_fill % code.interleaving_depth:
            raise ValueError("reed_solomon.virtual_fill is not a multiple of interleaving_depth [131.0-B-5 §4.3.7]")
        if code is not None and code.frame_octets != self.frame_octets:
            raise ValueError(f"frame_octets is {self.frame_octets}, but reed_solomon holds {code.frame_octets}")
        if self.frame_octets % self.deinterleaving_depth:
            raise ValueError(f"frame_octets is not a multiple of deinterleaving_depth {self.deinterleaving_depth}")
        if self.frame_type == "TM":
            self._check_tm()
        self._check_channels()

    def _check_tm(self) -> None:
        for name, absent in (("header_error_control", None), ("insert_zone_octets", 0), ("standard_issue", None)):
            if getattr(self, name) != absent:
                raise ValueError(f"{name} is for AOS frames only")
        for master in self.master_channels:
            for channel in master.virtual_channels:
                if channel.virtual_channel_id > 7:
                    raise ValueError(
                        f"virtual_channel_id {channel.virtual_channel_id} is not 0 to 7 [132.0-B-3 §4.1.2.3]"
                    )
                if channel.service == "bitstream":
                    raise ValueError("service bitstream is for AOS frames only")

    def _check_channels(self) -> None:
        spacecraft = [master.spacecraft_id for master in self.master_channels]
        if len(set(spacecraft)) != len(spacecraft):
            raise ValueError("master_channels: a spacecraft_id is listed twice")
        if self.frame_type == "AOS" and self.issue < 5 and any(id_ > 255 for id_ in spacecraft):
            raise ValueError("spacecraft_id is over 255: that needs standard_issue 5")
        for master in self.master_channels:
            channels = [channel.virtual_channel_id for channel in master.virtual_channels]
            if len(set(channels)) != len(channels):
                raise ValueError(f"spacecraft {master.spacecraft_id}: a virtual_channel_id is listed twice")

    @property
    def issue(self) -> int:
        """AOS: issue of 732.0-B; of TM frames, where it says nothing, 5."""
        return self.standard_issue or 5

    def find(self, spacecraft_id: int, virtual_channel_id: int) -> tuple[MasterChannel, VirtualChannel]:
        """The parameters of a virtual channel; the defaults where it is not listed."""
        masters = {master.spacecraft_id: master for master in self.master_channels}
        master = masters.get(spacecraft_id) or MasterChannel(spacecraft_id=spacecraft_id)
        channels = {channel.virtual_channel_id: channel for channel in master.virtual_channels}
        return master, channels.get(virtual_channel_id) or VirtualChannel(virtual_channel_id=virtual_channel_id)

    @property
    def record_octets(self) -> int:
        """Octets of one codeblock or frame, without marker."""
        return self.reed_solomon.block_octets if self.reed_solomon else self.frame_octets

    def warnings(self) -> list[str]:
        """What a user should know before trusting what comes out."""
        if self.reed_solomon or self.frame_error_control or self.checked_before:
            return []
        return [
            "nothing in this profile detects errors: no Reed-Solomon code, no frame error control field, "
            "and checked_before is not set; damaged frames will pass for good ones [131.0-B-5 §12]"
        ]

    def uncoded(self) -> PhysicalChannel:
        """The same channel where frames come as such: no marker, no randomizer, no code."""
        return msgspec.structs.replace(
            self, synchronization=None, randomizer=None, reed_solomon=None, checked_before=True
        )


class Mission(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mission profile: a physical channel with a name.  Without a physical channel: packet files only."""

    name: str
    description: str = ""
    source: str = ""
    physical_channel: PhysicalChannel | None = None


def mission_from_dict(tree: dict[str, Any], *, origin: str = "profile") -> Mission:
    """A mission from a tree as TOML gives it.

    Raises: ConfigurationError: names the key, what was expected there, and for an unknown key the nearest one.
    """
    try:
        return msgspec.convert(tree, Mission)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{origin}: {_explain(str(error))}") from None


def mission_from_toml(path: str | Path) -> Mission:
    """A mission from a TOML file.  Raises: ConfigurationError, OSError."""
    try:
        tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested too deep
        raise ConfigurationError(f"{path}: not TOML: {error}") from None
    return mission_from_dict(tree, origin=str(path))


def _explain(message: str) -> str:
    """msgspec's sentence with the key first, and the nearest name for a key that does not exist."""
    text, _, where = message.partition(" - at `$")
    key = where.rstrip("`").removeprefix(".")
    if "unknown field" in text:
        unknown = text.split("`")[1]
        names = {name for node in _NODES for name in node.__struct_fields__}
        near = get_close_matches(unknown, sorted(names), 2)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        return f"unknown key {f'{key}.' if key else ''}{unknown}{hint}"
    return f"{key}: {text}" if key else text


_NODES = (VirtualChannel, MasterChannel, Synchronization, ReedSolomon, PhysicalChannel, Mission)
