"""What a simulated transmitter sends: frame format, channel coding, traffic.

Sources: CCSDS 132.0-B-3 (TM), 732.0-B-5 (AOS), 732.1-B-3 (USLP, fixed length), 131.0-B-5 (synchronisation and coding).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ccsds.errors import ConfigurationError

__all__ = [
    "ATTACHED_SYNC_MARKER",
    "FrameType",
    "Randomizer",
    "ReedSolomon",
    "TransmitterParameters",
    "VirtualChannelTraffic",
]

ATTACHED_SYNC_MARKER = bytes.fromhex("1acffc1d")  # 131.0-B-5: uncoded and Reed-Solomon coded channels
IDLE_VIRTUAL_CHANNEL = 63  # AOS and USLP
LONGEST_PACKET_ZONE = 2046  # pointers 2046 and 2047 have other meanings


class FrameType(Enum):
    """The transfer frame on the physical channel."""

    TM = "TM"
    AOS = "AOS"
    USLP = "USLP"


class Randomizer(Enum):
    """The pseudo-randomizer between coding and marker: none, period 255 bits, period 131071 bits."""

    NONE = "none"
    SHORT = "short"
    LONG = "long"


def _require(holds: bool, key: str, rule: str) -> None:
    if not holds:
        raise ConfigurationError(f"{key}: {rule}")


@dataclass(frozen=True, kw_only=True)
class ReedSolomon:
    """The Reed-Solomon code of 131.0-B-5.

    Attributes: correctable_symbols: E, 16 or 8.  interleaving_depth: I.
                virtual_fill_octets: Q, over the whole codeblock, a multiple of I.
                dual_basis: False for symbols in the conventional basis (not CCSDS, but met in the field).
    """

    correctable_symbols: int = 16
    interleaving_depth: int = 5
    virtual_fill_octets: int = 0
    dual_basis: bool = True

    def __post_init__(self) -> None:
        _require(self.correctable_symbols in (8, 16), "correctable_symbols", "E is 8 or 16")
        _require(self.interleaving_depth in (1, 2, 3, 4, 5, 8), "interleaving_depth", "I is 1, 2, 3, 4, 5 or 8")
        full = (255 - 2 * self.correctable_symbols) * self.interleaving_depth
        fill = self.virtual_fill_octets
        _require(fill % self.interleaving_depth == 0, "virtual_fill_octets", "a multiple of interleaving_depth")
        _require(0 <= fill < full, "virtual_fill_octets", f"0 to {full - 1}")

    @property
    def information_octets(self) -> int:
        """Octets of one codeblock that carry the frame."""
        return (255 - 2 * self.correctable_symbols) * self.interleaving_depth - self.virtual_fill_octets

    @property
    def check_octets(self) -> int:
        """Octets of check symbols in one codeblock."""
        return 2 * self.correctable_symbols * self.interleaving_depth


@dataclass(frozen=True, kw_only=True)
class VirtualChannelTraffic:
    """What one virtual channel carries.

    Attributes: weight: its share of the frames, relative to the others.
                shortest_packet_octets, longest_packet_octets: of whole packets that are not idle; lengths are uniform.
                encapsulation_share: of the packets, those that are encapsulation packets (133.1-B-3).
                idle_packet_share: of the packets, idle ones (space packets; encapsulation packets, also of one octet).
                cut_idle_share: of the packets, idle ones that end with their frame although their length field says
                more, as some spacecraft send them; the next frame begins at first header pointer 0.
                only_idle_data_share: of the frames, those that carry only idle data; 1.0 makes an idle channel.
                time_stamped: space packets begin with a secondary header of 7 octets, CUC 4 + 3 octets (301.0-B-4).
                first_frame_count: virtual channel frame count of the first frame; None draws it.
    """

    virtual_channel_id: int
    weight: float = 1.0
    application_process_ids: tuple[int, ...] = (1, 2, 3)
    shortest_packet_octets: int = 16
    longest_packet_octets: int = 512
    encapsulation_share: float = 0.0
    idle_packet_share: float = 0.05
    cut_idle_share: float = 0.0
    only_idle_data_share: float = 0.0
    time_stamped: bool = False
    first_frame_count: int | None = None

    def __post_init__(self) -> None:
        _require(self.weight > 0, "weight", "greater than 0")
        _require(
            bool(self.application_process_ids) and all(0 <= each < 2047 for each in self.application_process_ids),
            "application_process_ids",
            "at least one, each 0 to 2046",
        )
        shortest = 14 if self.time_stamped else 9
        _require(
            shortest <= self.shortest_packet_octets <= self.longest_packet_octets <= 65542,
            "shortest_packet_octets, longest_packet_octets",
            f"in order, from {shortest} to 65542",
        )
        for name in ("encapsulation_share", "idle_packet_share", "cut_idle_share", "only_idle_data_share"):
            _require(0 <= getattr(self, name) <= 1, name, "0 to 1")
        shares = self.encapsulation_share + self.idle_packet_share + self.cut_idle_share
        _require(shares <= 1, "encapsulation_share + idle_packet_share + cut_idle_share", "at most 1")


@dataclass(frozen=True, kw_only=True)
class TransmitterParameters:
    """One physical channel with one spacecraft on it.

    Attributes: reed_solomon: None sends uncoded frames of `uncoded_frame_octets`.
                secondary_header_octets: TM only, its identification octet included; 0 means none.
                standard_issue: AOS only, the issue of 732.0-B: 5 has a spacecraft identifier of ten bits and a first
                header pointer of sixteen; 4, like earlier ones, has eight and eleven.
                insert_zone_octets: AOS and USLP.  frame_header_error_control, frame_count_cycle: AOS only; the last
                sends the frame count with 28 bits and its usage flag set.
                frame_count_octets: USLP only, 0 to 7.
                operational_control_field: every frame carries a CLCW.
                symbol_rate_hz, start_time_ns: give the time stamps in packets (symbols on the channel are coded bits).
    """

    frame_type: FrameType
    spacecraft_id: int
    virtual_channels: tuple[VirtualChannelTraffic, ...]
    reed_solomon: ReedSolomon | None = ReedSolomon()
    uncoded_frame_octets: int = 1115
    randomizer: Randomizer = Randomizer.SHORT
    secondary_header_octets: int = 0
    standard_issue: int = 4
    insert_zone_octets: int = 0
    frame_header_error_control: bool = False
    frame_count_cycle: bool = False
    frame_count_octets: int = 4
    operational_control_field: bool = True
    frame_error_control_field: bool = True
    symbol_rate_hz: float = 1e6
    start_time_ns: int = 0

    def __post_init__(self) -> None:
        tm, aos = self.frame_type is FrameType.TM, self.frame_type is FrameType.AOS
        _require(self.standard_issue in (4, 5), "standard_issue", "4 or 5")
        limit = 1 << 16 if self.frame_type is FrameType.USLP else 256 if aos and self.standard_issue == 4 else 1024
        _require(0 <= self.spacecraft_id < limit, "spacecraft_id", f"0 to {limit - 1}")
        ids = [channel.virtual_channel_id for channel in self.virtual_channels]
        limit = 7 if tm else 63
        _require(
            bool(ids) and len(set(ids)) == len(ids) and all(0 <= each <= limit for each in ids),
            "virtual_channels",
            f"at least one, with different identifiers from 0 to {limit}",
        )
        if tm:
            _require(not self.insert_zone_octets, "insert_zone_octets", "AOS and USLP only")
            _require(
                self.secondary_header_octets == 0 or 2 <= self.secondary_header_octets <= 64,
                "secondary_header_octets",
                "0 or 2 to 64",
            )
        else:
            _require(self.secondary_header_octets == 0, "secondary_header_octets", "TM only")
            _require(self.insert_zone_octets >= 0, "insert_zone_octets", "not negative")
        only_aos = self.frame_header_error_control or self.frame_count_cycle
        _require(aos or not only_aos, "frame_header_error_control, frame_count_cycle", "AOS only")
        _require(0 <= self.frame_count_octets <= 7, "frame_count_octets", "0 to 7")
        _require(
            16 <= self.packet_zone_octets <= LONGEST_PACKET_ZONE,
            "frame length",
            f"leaves {self.packet_zone_octets} octets for packets, not 16 to {LONGEST_PACKET_ZONE}",
        )
        _require(self.symbol_rate_hz > 0, "symbol_rate_hz", "greater than 0")

    @property
    def pointer_bits(self) -> int:
        """Width of the first header pointer; its special values are all ones, and all ones minus one."""
        wide = self.frame_type is FrameType.AOS and self.standard_issue == 5
        return 16 if wide or self.frame_type is FrameType.USLP else 11

    @property
    def frame_octets(self) -> int:
        """Octets of one transfer frame."""
        return self.uncoded_frame_octets if self.reed_solomon is None else self.reed_solomon.information_octets

    @property
    def coded_octets(self) -> int:
        """Octets of one frame with its check symbols."""
        return self.frame_octets + (0 if self.reed_solomon is None else self.reed_solomon.check_octets)

    @property
    def channel_access_data_unit_octets(self) -> int:
        """Octets of one CADU: marker and coded frame."""
        return len(ATTACHED_SYNC_MARKER) + self.coded_octets

    @property
    def data_field_offset(self) -> int:
        """Octet of the frame at which the transfer frame data field begins."""
        if self.frame_type is FrameType.TM:
            return 6 + self.secondary_header_octets
        if self.frame_type is FrameType.USLP:
            return 7 + self.frame_count_octets + self.insert_zone_octets
        return 6 + 2 * self.frame_header_error_control + self.insert_zone_octets

    @property
    def trailer_octets(self) -> int:
        """Octets of the operational control field and the frame error control field."""
        return 4 * self.operational_control_field + 2 * self.frame_error_control_field

    @property
    def data_field_octets(self) -> int:
        """Octets of the transfer frame data field."""
        return self.frame_octets - self.data_field_offset - self.trailer_octets

    @property
    def packet_zone_octets(self) -> int:
        """Octets of packets in one frame: the data field, in AOS without the M_PDU header, in USLP without its own."""
        return self.data_field_octets - {FrameType.TM: 0, FrameType.AOS: 2, FrameType.USLP: 3}[self.frame_type]

    @property
    def frame_count_modulus(self) -> int:
        """What the virtual channel frame count counts modulo."""
        if self.frame_type is FrameType.TM:
            return 256
        if self.frame_type is FrameType.USLP:
            return 1 << 8 * self.frame_count_octets
        return 1 << (28 if self.frame_count_cycle else 24)

    @property
    def frame_period_ns(self) -> float:
        """Time that one CADU takes on the channel."""
        return self.channel_access_data_unit_octets * 8e9 / self.symbol_rate_hz
