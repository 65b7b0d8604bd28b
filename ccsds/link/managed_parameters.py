"""Managed parameters: what both ends of a link agreed on beforehand, as a frozen tree.

Sources: CCSDS 131.0-B-5 section 12, 132.0-B-3 section 5, 732.0-B-5 section 5, 232.0-B-4 section 5, 732.1-B-3
section 5.  Values a standard leaves to the mission have the default that most missions use; the key is named in every
error.  One tree serves both ends of a link: what only one of them needs, the other passes over.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ccsds.errors import ConfigurationError
from ccsds.link.command_coding import CommandCoding

__all__ = [
    "Cop1",
    "Map",
    "MasterChannel",
    "Mission",
    "PhysicalChannel",
    "ReedSolomon",
    "Synchronization",
    "VirtualChannel",
    "mission_from_dict",
    "mission_from_toml",
]

FrameType = Literal["TM", "AOS", "TC", "USLP"]
Service = Literal["packets", "access", "bitstream"]
MapService = Literal["packets", "access", "octet_stream"]
Multiplexing = Literal["priority", "weighted", "polling"]
Timeout = Literal["alert", "suspend"]
PacketVersion = Literal[0, 7]
_MAXIMUM_FRAME_OCTETS = 1 << 16
_SPACECRAFT_IDS = {"TM": 1024, "AOS": 1024, "TC": 1024, "USLP": 1 << 16}
_VIRTUAL_CHANNELS = {"TM": (8, "132.0-B-3 §4.1.2.3"), "AOS": (64, ""), "TC": (64, ""), "USLP": (64, "")}
_MAPS = {"TC": (64, "232.0-B-4 §4.1.3.2.3"), "USLP": (16, "732.1-B-3 §4.1.2.5")}


class _Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node of the tree."""


class _Sharing(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this channel shares the next one up with its siblings when sending.

    priority: the lowest goes first.  weight: its share under weighted multiplexing.
    maximum_bits_per_second: of its frames (of a MAP: of its data); left out, no limit.
    """

    priority: Annotated[int, Meta(ge=0, le=255)] = 0
    weight: Annotated[int, Meta(ge=1, le=255)] = 1
    maximum_bits_per_second: Annotated[int, Meta(ge=1)] | None = None


class Map(_Sharing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One multiplexer access point of a TC or USLP virtual channel (232.0-B-4 table 5-4, 732.1-B-3 table 5-5).

    service: packets, access (MAP access: data units as they are), octet_stream (USLP).
    blocking: several packets may share a frame (in USLP frames of fixed length they do anyway).
    uslp_protocol_id: of its data; left out: 0 of packets, 5 of access, 4 of an octet stream.
    """

    map_id: Annotated[int, Meta(ge=0, le=63)]
    name: str = ""
    service: MapService = "packets"
    blocking: bool = True
    uslp_protocol_id: Annotated[int, Meta(ge=0, le=30)] | None = None
    valid_packet_versions: Annotated[tuple[PacketVersion, ...], Meta(min_length=1)] = (0, 7)
    maximum_packet_octets: Annotated[int, Meta(ge=7, le=1 << 24)] = 65_542
    deliver_incomplete_packets: bool = False


class Cop1(_Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """COP-1 on one virtual channel, both ends of it (232.1-B-2 tables 7-1 and 7-2).

    sliding_window_width: K, frames that may be outstanding.  farm_sliding_window_width: W, even; K is at most its half.
    t1_initial_ms: how long FOP-1 waits for an acknowledgement.  transmission_limit: how often a frame may be sent.
    timeout_type: what FOP-1 does when it has waited at the limit.
    """

    sliding_window_width: Annotated[int, Meta(ge=1, le=255)]
    farm_sliding_window_width: Annotated[int, Meta(ge=2, le=254)]
    t1_initial_ms: Annotated[int, Meta(ge=1)]
    transmission_limit: Annotated[int, Meta(ge=1, le=255)]
    timeout_type: Timeout = "alert"

    def __post_init__(self) -> None:
        if self.farm_sliding_window_width % 2:
            raise ValueError("farm_sliding_window_width is even [232.1-B-2 §6.1.8]")
        if self.sliding_window_width > self.farm_sliding_window_width // 2:
            raise ValueError("sliding_window_width is over half of farm_sliding_window_width [232.1-B-2 §5.1.12]")


class VirtualChannel(_Sharing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One virtual channel (132.0-B-3 tables 5-3, 5-4; 732.0-B-5, 232.0-B-4 tables 5-3; 732.1-B-3 table 5-4).

    service: what it carries: packets (TM packets, AOS M_PDU), access (VCA data as they are), bitstream (AOS B_PDU).
        Of TC without segment headers: packets or access.  Of USLP, its MAPs say.
    segment_header: TC, frames of this channel have a segment header, and MAPs.
    maps: those that differ from the defaults.  multiplexing, polling: as of the master channel, among the MAPs.
    blocking: TC without segment headers, several packets may share a frame.
    cop: the procedure of its sequence-controlled service: "COP-1" or none.  cop_1: its parameters; a sender needs them.
    frame_count_octets_sequence_controlled, frame_count_octets_expedited: USLP, of the virtual channel frame count.
    truncated_frame_octets: USLP, frames of this length with the truncated header occur on it.
    secondary_header_octets: TM, octets of the secondary header; a receiver believes this more than its length field.
    operational_control_field: AOS, an OCF is there (TM announces it in each frame).
    replay_flag: AOS, when sending, its frames are marked as replayed ones.
    frame_count_cycle: AOS, when sending, the frame count is carried on in the cycle bits, to 28 bits.
    valid_packet_versions: packet version numbers that may occur: 0 space packets, 7 encapsulation packets.
    maximum_packet_octets: a packet that says it is longer is not believed.
    deliver_incomplete_packets: deliver the beginning of packets that were lost, marked so.
    remove_repeated_frames: ignore a frame that equals, octet for octet, the one before it.
    frame_count_frozen: the counter of this channel does not count.
    """

    virtual_channel_id: Annotated[int, Meta(ge=0, le=63)]
    name: str = ""
    service: Service = "packets"
    segment_header: bool = False
    maps: tuple[Map, ...] = ()
    multiplexing: Multiplexing = "priority"
    polling: tuple[int, ...] = ()
    blocking: bool = True
    cop: Literal["COP-1"] | None = None
    cop_1: Cop1 | None = None
    frame_count_octets_sequence_controlled: Annotated[int, Meta(ge=0, le=7)] = 1
    frame_count_octets_expedited: Annotated[int, Meta(ge=0, le=7)] = 1
    truncated_frame_octets: Annotated[int, Meta(ge=6, le=_MAXIMUM_FRAME_OCTETS)] | None = None
    secondary_header_octets: Annotated[int, Meta(ge=2, le=64)] | None = None
    operational_control_field: bool | None = None
    replay_flag: bool = False
    frame_count_cycle: bool = False
    valid_packet_versions: Annotated[tuple[PacketVersion, ...], Meta(min_length=1)] = (0, 7)
    maximum_packet_octets: Annotated[int, Meta(ge=7, le=1 << 24)] = 65_542
    deliver_incomplete_packets: bool = False
    remove_repeated_frames: bool = True
    frame_count_frozen: bool = False

    def has_operational_control_field(self, master_channel: MasterChannel) -> bool:
        """What the virtual channel says, or else its master channel; a receiver needs it for AOS only."""
        own = self.operational_control_field
        return master_channel.operational_control_field if own is None else own

    def find_map(self, map_id: int) -> Map:
        """The parameters of a MAP; where it is not listed, it carries packets by the rules of the virtual channel."""
        return next((map_ for map_ in self.maps if map_.map_id == map_id), None) or Map(
            map_id=map_id,
            valid_packet_versions=self.valid_packet_versions,
            maximum_packet_octets=self.maximum_packet_octets,
            deliver_incomplete_packets=self.deliver_incomplete_packets,
            blocking=self.blocking,
        )


class MasterChannel(_Sharing, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One spacecraft on the link.  Virtual channels that are not listed carry packets, by the defaults.

    operational_control_field: AOS, for all its virtual channels that do not say otherwise; when sending, of TM and
        USLP too.
    multiplexing: how its virtual channels take turns when sending: by absolute priority, weighted round robin, or by
        the polling vector.  polling: that vector, identifiers of virtual channels in the order of their turns.
    secondary_header_octets: TM, when sending, of the secondary header that all frames of the master channel have.
    idle_virtual_channel_id: TM, when sending, of the frames that carry only idle data.
    source_or_destination_id: USLP, when sending, what spacecraft_id is: 0 the source of frames, 1 their destination.
    """

    spacecraft_id: Annotated[int, Meta(ge=0, le=65_535)]
    name: str = ""
    operational_control_field: bool = False
    multiplexing: Multiplexing = "priority"
    polling: tuple[int, ...] = ()
    secondary_header_octets: Annotated[int, Meta(ge=2, le=64)] | None = None
    idle_virtual_channel_id: Annotated[int, Meta(ge=0, le=7)] = 7
    source_or_destination_id: Annotated[int, Meta(ge=0, le=1)] = 0
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

    frame_octets: of one transfer frame, whatever stands in it; the maximum, where frames are of variable length: TC
        frames are, USLP frames with variable_frame_length.
    synchronization: markers are there; without it, frames (or codeblocks) come back to back.
    randomizer: short (255 bits) or long (131071 bits, 131.0-B-5 and later).
    command_coding: of TC frames, and of USLP frames sent as commands: how CLTUs are made and radiated.
    deinterleaving_depth: a frame is written in rows of that many columns (see the Blue Ghost profile).
    frame_error_control: an FECF ends the frame.  frame_error_control_octets: 2; of USLP, 4 in the older issues.
    checked_before: frames with errors were removed before they were recorded.
    header_error_control: of AOS frames.  insert_zone_octets: of AOS and USLP frames of fixed length.
    standard_issue: of AOS frames, the issue of 732.0-B that the spacecraft follows; left out, 5.  Issue 5 has a
        spacecraft identifier of ten bits and a first header pointer of sixteen, up to issue 4 they have eight and
        eleven.  The two special pointers of eleven bits are understood under issue 5 too, in zones that they cannot
        point into.
    late_frame_window: AOS, a frame overtaken by at most that many others is late; further back is a reset.
    multiplexing: how master channels take turns when sending.  polling: spacecraft identifiers in that order.
    master_channels: the spacecraft on the link; none listed: any is taken.
    """

    frame_type: FrameType
    frame_octets: Annotated[int, Meta(ge=7, le=_MAXIMUM_FRAME_OCTETS)]
    variable_frame_length: bool = False
    synchronization: Synchronization | None = None
    randomizer: Literal["short", "long"] | None = None
    reed_solomon: ReedSolomon | None = None
    command_coding: CommandCoding | None = None
    deinterleaving_depth: Annotated[int, Meta(ge=1, le=255)] = 1
    frame_error_control: bool = False
    frame_error_control_octets: Literal[2, 4] = 2
    checked_before: bool = False
    header_error_control: Literal["check", "correct"] | None = None
    insert_zone_octets: Annotated[int, Meta(ge=0, le=2048)] = 0
    standard_issue: Annotated[int, Meta(ge=1, le=5)] | None = None
    late_frame_window: Annotated[int, Meta(ge=0, le=65_536)] = 64
    multiplexing: Multiplexing = "priority"
    polling: tuple[int, ...] = ()
    master_channels: tuple[MasterChannel, ...] = ()

    def __post_init__(self) -> None:
        code = self.reed_solomon
        if code is not None and code.virtual_fill % code.interleaving_depth:
            raise ValueError("reed_solomon.virtual_fill is not a multiple of interleaving_depth [131.0-B-5 §4.3.7]")
        if code is not None and code.frame_octets != self.frame_octets:
            raise ValueError(f"frame_octets is {self.frame_octets}, but reed_solomon holds {code.frame_octets}")
        if self.frame_octets % self.deinterleaving_depth:
            raise ValueError(f"frame_octets is not a multiple of deinterleaving_depth {self.deinterleaving_depth}")
        self._check_frame_type()
        _check_turns(self, "spacecraft", {master.spacecraft_id for master in self.master_channels})
        self._check_channels()

    def _check_frame_type(self) -> None:
        kind, shortest = self.frame_type, _SHORTEST_FRAMES[self.frame_type]
        if self.frame_octets < shortest:
            raise ValueError(f"frame_octets is {self.frame_octets}; {kind} frames have at least {shortest}")
        if kind == "TC" and self.frame_octets > 1024:
            raise ValueError(f"frame_octets is {self.frame_octets}; TC frames have at most 1024 [232.0-B-4 §4.1.2.7]")
        for name, (absent, kinds) in _KEYS_OF_FRAME_TYPES.items():
            if getattr(self, name) != absent and kind not in kinds:
                raise ValueError(f"{name} is for {' and '.join(kinds)} frames only")
        if self.command_coding and (self.synchronization or self.reed_solomon or self.randomizer):
            raise ValueError("command_coding stands alone: no synchronization, reed_solomon or randomizer beside it")
        if kind == "USLP" and self.variable_frame_length and self.insert_zone_octets:
            raise ValueError("insert_zone_octets needs frames of fixed length [732.1-B-3 §4.1.3]")

    def _check_channels(self) -> None:
        spacecraft = [master.spacecraft_id for master in self.master_channels]
        if len(set(spacecraft)) != len(spacecraft):
            raise ValueError("master_channels: a spacecraft_id is listed twice")
        most = _SPACECRAFT_IDS[self.frame_type] - 1
        if any(id_ > most for id_ in spacecraft):
            raise ValueError(f"spacecraft_id is over {most}, the highest of {self.frame_type} frames")
        if self.frame_type == "AOS" and self.issue < 5 and any(id_ > 255 for id_ in spacecraft):
            raise ValueError("spacecraft_id is over 255: that needs standard_issue 5")
        for master in self.master_channels:
            channels = [channel.virtual_channel_id for channel in master.virtual_channels]
            if len(set(channels)) != len(channels):
                raise ValueError(f"spacecraft {master.spacecraft_id}: a virtual_channel_id is listed twice")
            _check_turns(master, "virtual channel", set(channels))
            _check_master_channel(self.frame_type, master)
            for channel in master.virtual_channels:
                _check_virtual_channel(self.frame_type, channel)
                if (channel.truncated_frame_octets or 0) > self.frame_octets:
                    raise ValueError(
                        f"virtual channel {channel.virtual_channel_id}: truncated_frame_octets is over frame_octets"
                    )

    @property
    def fixed_frame_length(self) -> bool:
        """Every frame has frame_octets octets."""
        return self.frame_type in ("TM", "AOS") or (self.frame_type == "USLP" and not self.variable_frame_length)

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


_SHORTEST_FRAMES = {"TM": 13, "AOS": 13, "TC": 7, "USLP": 8}
_KEYS_OF_FRAME_TYPES: dict[str, tuple[object, tuple[FrameType, ...]]] = {
    "header_error_control": (None, ("AOS",)),
    "insert_zone_octets": (0, ("AOS", "USLP")),
    "standard_issue": (None, ("AOS",)),
    "variable_frame_length": (False, ("USLP",)),
    "frame_error_control_octets": (2, ("USLP",)),
    "command_coding": (None, ("TC", "USLP")),
    "synchronization": (None, ("TM", "AOS", "USLP")),
    "randomizer": (None, ("TM", "AOS", "USLP")),
    "reed_solomon": (None, ("TM", "AOS", "USLP")),
}
_KEYS_OF_VIRTUAL_CHANNELS: dict[str, tuple[object, tuple[FrameType, ...]]] = {
    "segment_header": (False, ("TC",)),
    "maps": ((), ("TC", "USLP")),
    "cop": (None, ("TC", "USLP")),
    "frame_count_octets_sequence_controlled": (1, ("USLP",)),
    "frame_count_octets_expedited": (1, ("USLP",)),
    "truncated_frame_octets": (None, ("USLP",)),
    "secondary_header_octets": (None, ("TM",)),
    "blocking": (True, ("TC",)),
    "cop_1": (None, ("TC", "USLP")),
    "replay_flag": (False, ("AOS",)),
    "frame_count_cycle": (False, ("AOS",)),
}
_KEYS_OF_MASTER_CHANNELS: dict[str, tuple[object, tuple[FrameType, ...]]] = {
    "secondary_header_octets": (None, ("TM",)),
    "idle_virtual_channel_id": (7, ("TM",)),
    "source_or_destination_id": (0, ("USLP",)),
}


def _check_master_channel(kind: FrameType, master: MasterChannel) -> None:
    here = f"spacecraft {master.spacecraft_id}"
    for name, (absent, kinds) in _KEYS_OF_MASTER_CHANNELS.items():
        if getattr(master, name) != absent and kind not in kinds:
            raise ValueError(f"{here}: {name} is for {' and '.join(kinds)} frames only")
    if master.secondary_header_octets is None:
        return
    for channel in master.virtual_channels:
        if channel.secondary_header_octets not in (None, master.secondary_header_octets):
            raise ValueError(
                f"{here}: the secondary header is of the master or of the virtual channel [132.0-B-3 §2.2.3]"
            )


def _check_virtual_channel(kind: FrameType, channel: VirtualChannel) -> None:
    here, (count, clause) = channel.virtual_channel_id, _VIRTUAL_CHANNELS[kind]
    if here >= count:
        raise ValueError(f"virtual_channel_id {here} is not 0 to {count - 1} [{clause}]")
    if channel.service == "bitstream" and kind != "AOS":
        raise ValueError("service bitstream is for AOS frames only")
    for name, (absent, kinds) in _KEYS_OF_VIRTUAL_CHANNELS.items():
        if getattr(channel, name) != absent and kind not in kinds:
            raise ValueError(f"virtual channel {here}: {name} is for {' and '.join(kinds)} frames only")
    if channel.cop_1 is not None and channel.cop is None:
        raise ValueError(f'virtual channel {here}: cop_1 needs cop = "COP-1"')
    if kind == "TC" and channel.maps and not channel.segment_header:
        raise ValueError(f"virtual channel {here}: maps need segment_header [232.0-B-4 §4.1.3.2.2]")
    maps = [map_.map_id for map_ in channel.maps]
    if len(set(maps)) != len(maps):
        raise ValueError(f"virtual channel {here}: a map_id is listed twice")
    for map_ in channel.maps:
        most, clause = _MAPS[kind]
        if map_.map_id >= most:
            raise ValueError(f"virtual channel {here}: map_id {map_.map_id} is not 0 to {most - 1} [{clause}]")
        if map_.uslp_protocol_id is not None and kind != "USLP":
            raise ValueError(f"virtual channel {here}: uslp_protocol_id is for USLP frames only")
        if map_.service == "octet_stream" and kind != "USLP":
            raise ValueError(f"virtual channel {here}: service octet_stream is for USLP frames only")
    _check_turns(channel, "MAP", set(maps))


def _check_turns(node: PhysicalChannel | MasterChannel | VirtualChannel, what: str, listed: set[int]) -> None:
    """The polling vector names each channel that is listed, and no other."""
    if node.multiplexing != "polling":
        if node.polling:
            raise ValueError('polling is given, but multiplexing is not "polling"')
        return
    if missing := listed - set(node.polling):
        raise ValueError(f"polling: {what} {min(missing)} has no turn")
    if unknown := set(node.polling) - listed:
        raise ValueError(f"polling: {what} {min(unknown)} is not listed")
    if not node.polling:
        raise ValueError('multiplexing is "polling", but polling is empty')


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


_NODES = (
    Map,
    CommandCoding,
    Cop1,
    VirtualChannel,
    MasterChannel,
    Synchronization,
    ReedSolomon,
    PhysicalChannel,
    Mission,
)
