"""TC frames and USLP frames of variable length from a seed, damaged on purpose, with the truth by bookkeeping.

Sources: CCSDS 232.0-B-4 section 4.1, CCSDS 732.1-B-3 section 4.1 and annex D.  Frames are put together by hand, with no
codec of this package.  The truth rests on one rule: a data unit arrives if, from its first frame to its last, none is
missing of the frames with a count that its virtual channel has of its kind (sequence-controlled, expedited).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from ccsds.testing.transmitter.coding import frame_error_control
from ccsds.testing.transmitter.packets import space_packet

__all__ = ["MapFrame", "MapLink", "MapStream", "MapTruth", "impair_map_frames", "transmit_map_frames"]

CONTROLLED, EXPEDITED = 0, 1
UNSEGMENTED, FIRST, LAST, CONTINUING = "unsegmented", "first", "last", "continuing"
_TC_FLAGS = {CONTINUING: 0, FIRST: 1, LAST: 2, UNSEGMENTED: 3}
_USLP_RULES = {FIRST: 0b100, CONTINUING: 0b101, LAST: 0b110, UNSEGMENTED: 0b111}
_PACKETS, _MISSION_SPECIFIC, _OCTET_STREAM, _IDLE = 0, 5, 4, 31
_UNLOCK = b"\0"

Address = tuple[int, int | None]
"""Virtual channel and MAP."""


@dataclass(frozen=True, kw_only=True)
class MapLink:
    """One physical channel with one spacecraft.

    Attributes: services: of each virtual channel and MAP: packets, access or octet_stream (USLP).  A MAP of None is
                a TC virtual channel without segment headers.
                count_octets: USLP, of the frame count of sequence-controlled and of expedited frames.
                truncated_octets: USLP, frames of this length with the truncated header occur; None: they do not.
    """

    frame_type: str
    spacecraft_id: int
    services: dict[Address, str]
    maximum_octets: int = 256
    frame_error_control: bool = True
    count_octets: tuple[int, int] = (1, 1)
    truncated_octets: int | None = None
    operational_control_field: bool = False


@dataclass(frozen=True, kw_only=True)
class MapFrame:
    """A frame, and what the bookkeeping knows of it.  unit: number of the unit of which it carries a portion."""

    octets: bytes
    virtual_channel_id: int
    kind: int = CONTROLLED
    counted: bool = False
    address: Address | None = None
    unit: int | None = None
    what: str = "data"


@dataclass(kw_only=True)
class _Unit:
    address: Address
    portions: list[bytes]
    packets: tuple[bytes, ...] = ()
    """Empty: not packets."""
    stream: bool = False


@dataclass(kw_only=True)
class MapTruth:
    """What a correct receiver makes of the stream.  Lists by address, in order of completion."""

    packets: dict[Address, list[bytes]] = field(default_factory=dict)
    access_units: dict[Address, list[bytes]] = field(default_factory=dict)
    octet_streams: dict[Address, bytes] = field(default_factory=dict)
    counter_gaps: Counter[tuple[int, int]] = field(default_factory=Counter)
    lost_frames: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Both by virtual channel and kind."""
    frames: Counter[int] = field(default_factory=Counter)
    repeated_frames: Counter[int] = field(default_factory=Counter)
    control_command_frames: int = 0
    truncated_frames: int = 0
    only_idle_data_frames: int = 0
    foreign_frames: int = 0
    frame_error_control_errors: int = 0
    resynchronizations: int = 0
    skipped_octets: int = 0


@dataclass(frozen=True, kw_only=True)
class MapStream:
    """A damaged stream.  pieces: frames and what stands between them, in order; octets: all of them."""

    link: MapLink
    pieces: tuple[bytes, ...]
    truth: MapTruth

    @property
    def octets(self) -> bytes:
        """The stream."""
        return b"".join(self.pieces)


class _Sender:
    """Builds frames and counts them."""

    def __init__(self, link: MapLink, random: Random) -> None:
        self.link, self.random = link, random
        self.counts: dict[tuple[int, int], int] = {}
        self.units: list[_Unit] = []
        self.in_progress: dict[tuple[Address, int], tuple[int, int]] = {}
        self.packet_count = 0

    def next_frame(self) -> MapFrame:
        """Of a random channel: the next portion of what is in progress there, or something new."""
        random, choice = self.random, self.random.random()
        address = random.choice(list(self.link.services))
        channel = address[0]
        if choice < 0.06:
            return self._command(channel)
        if self.link.frame_type == "USLP":
            if choice < 0.1:
                return self._idle()
            is_free = (address, EXPEDITED) not in self.in_progress
            if choice < 0.15 and is_free and self.link.truncated_octets is not None:
                return self._truncated(address)
        kind = random.choice((CONTROLLED, CONTROLLED, EXPEDITED))
        number, at = self.in_progress.pop((address, kind), (None, 0))
        if number is None:
            number = self._new_unit(address)
        unit = self.units[number]
        last = at == len(unit.portions) - 1
        portion = (UNSEGMENTED if last else FIRST) if at == 0 else (LAST if last else CONTINUING)
        if not last:
            self.in_progress[address, kind] = (number, at + 1)
        return self._data(address, kind, unit, portion, unit.portions[at], number)

    def _room(self) -> int:
        """Octets of data that fit into any frame."""
        return self.link.maximum_octets - 24

    def _new_unit(self, address: Address) -> int:
        random, service = self.random, self.link.services[address]
        room, segmented = self._room(), address[1] is not None
        if service == "packets":
            packets = tuple(self._packet(random.randint(7, 40)) for _ in range(random.randint(1, room // 40)))
            if segmented and random.random() < 0.5:
                packets = (self._packet(random.randint(7, 4 * room)),)
            data = b"".join(packets)
        else:
            packets = ()
            data = random.randbytes(random.randint(1, room * (3 if segmented and service == "access" else 1)))
        size = random.randint(max(1, -(-len(data) // 6)), room) if len(data) > room else room
        portions = [data[at : at + size] for at in range(0, len(data), size)]
        unit = _Unit(address=address, portions=portions, packets=packets, stream=service == "octet_stream")
        self.units.append(unit)
        return len(self.units) - 1

    def _packet(self, octets: int) -> bytes:
        self.packet_count += 1
        return space_packet(self.random.choice((1, 40, 2046)), self.packet_count, self.random.randbytes(octets - 6))

    def _data(self, address: Address, kind: int, unit: _Unit, portion: str, octets: bytes, number: int) -> MapFrame:
        if self.link.frame_type == "TC":
            header = b"" if address[1] is None else bytes([_TC_FLAGS[portion] << 6 | address[1]])
            return self._frame(address, kind, header + octets, unit=number)
        protocol = _PACKETS if unit.packets else (_OCTET_STREAM if unit.stream else _MISSION_SPECIFIC)
        rule = 0b011 if unit.stream else _USLP_RULES[portion]
        return self._frame(address, kind, bytes([rule << 5 | protocol]) + octets, unit=number)

    def _command(self, channel: int) -> MapFrame:
        if self.link.frame_type == "TC":
            return self._frame((channel, None), EXPEDITED, _UNLOCK, command=1, what="command")
        return self._frame((channel, 0), EXPEDITED, bytes([0b111 << 5 | 1]) + _UNLOCK, command=1, what="command")

    def _idle(self) -> MapFrame:
        data = bytes([0b111 << 5 | _IDLE]) + self.random.randbytes(self.random.randint(1, 50))
        return self._frame((63, 0), EXPEDITED, data, what="idle")

    def _truncated(self, address: Address) -> MapFrame:
        """An access unit, or a block of packets, that is as long as a truncated frame has room."""
        assert self.link.truncated_octets is not None
        room = self.link.truncated_octets - 5
        packets = (self._packet(room),) if self.link.services[address] == "packets" else ()
        data = packets[0] if packets else self.random.randbytes(room)
        stream = self.link.services[address] == "octet_stream"
        protocol = _PACKETS if packets else (_OCTET_STREAM if stream else _MISSION_SPECIFIC)
        rule = 0b011 if stream else 0b111
        octets = self._uslp_start(address, 1) + bytes([rule << 5 | protocol]) + data
        self.units.append(_Unit(address=address, portions=[data], packets=packets, stream=stream))
        return MapFrame(
            octets=octets,
            virtual_channel_id=address[0],
            kind=EXPEDITED,
            address=address,
            unit=len(self.units) - 1,
            what="truncated",
        )

    def _frame(
        self, address: Address, kind: int, data: bytes, *, command: int = 0, unit: int | None = None, what: str = "data"
    ) -> MapFrame:
        make = self._tc if self.link.frame_type == "TC" else self._uslp
        octets, counted = make(address, kind, command, data)
        if self.link.frame_error_control:
            octets += frame_error_control(octets).to_bytes(2, "big")
        return MapFrame(
            octets=octets,
            virtual_channel_id=address[0],
            kind=kind,
            counted=counted,
            address=address,
            unit=unit,
            what=what,
        )

    def _count(self, channel: int, kind: int, octets: int) -> int:
        start = self.random.randrange(1 << 8 * octets)
        count = self.counts.get((channel, kind), start)
        self.counts[channel, kind] = (count + 1) % (1 << 8 * octets)
        return count

    def _tc(self, address: Address, kind: int, command: int, data: bytes) -> tuple[bytes, bool]:
        length = 5 + len(data) + 2 * self.link.frame_error_control - 1
        number = 0 if kind == EXPEDITED else self._count(address[0], kind, 1)
        first = kind << 13 | command << 12 | self.link.spacecraft_id
        return (first << 24 | address[0] << 18 | length << 8 | number).to_bytes(5, "big") + data, kind == CONTROLLED

    def _uslp_start(self, address: Address, truncated: int) -> bytes:
        word = 0b1100 << 28 | self.link.spacecraft_id << 12 | address[0] << 5 | (address[1] or 0) << 1 | truncated
        return word.to_bytes(4, "big")

    def _uslp(self, address: Address, kind: int, command: int, data: bytes) -> tuple[bytes, bool]:
        octets = self.link.count_octets[kind]
        count = self._count(address[0], kind, octets).to_bytes(octets, "big") if octets else b""
        control = self.random.randbytes(4) if self.link.operational_control_field else b""
        length = 7 + octets + len(data) + len(control) + 2 * self.link.frame_error_control - 1
        flags = kind << 7 | command << 6 | bool(control) << 3 | octets
        header = self._uslp_start(address, 0) + length.to_bytes(2, "big") + bytes([flags]) + count
        return header + data + control, octets > 0


def transmit_map_frames(link: MapLink, seed: int, frames: int) -> tuple[tuple[MapFrame, ...], tuple[_Unit, ...]]:
    """Frames of traffic drawn from `seed`, and the units that they carry."""
    sender = _Sender(link, Random(seed))
    return tuple(sender.next_frame() for _ in range(frames)), tuple(sender.units)


def impair_map_frames(link: MapLink, seed: int, frames: int, damage: int) -> MapStream:
    """A stream with `damage` places where something was done to it.

    Frames are dropped, repeated, spoiled (in their data; in their length field), sent by others, or preceded by noise;
    the last two of these, which need frame error control to be told from frames, only where there is some.  The first
    and the last three frames stay as they are.
    """
    sent, units = transmit_map_frames(link, seed, frames)
    random = Random(seed + 1)
    kinds = ["drop", "drop", "repeat", "foreign"]
    if link.frame_error_control:
        kinds += ["spoil", "length", "noise"]
    places = random.sample(range(3, frames - 3), damage)
    acts = {place: random.choice(kinds) for place in places}
    truth, pieces, arrived = MapTruth(), [], []
    for number, frame in enumerate(sent):
        act = acts.get(number, "")
        if act in ("spoil", "length") and (frame.what == "truncated" or number - 1 in acts):
            act = "drop"
        if not frame.counted and frame.unit is not None and len(units[frame.unit].portions) > 1:
            act = (
                act and "foreign"
            )  # nothing tells a receiver that a portion without a count is missing, or comes twice
        if act == "foreign" and (frame.what == "truncated" or number - 1 in acts):
            act = ""  # one of unknown length, or one that a lost place may hide
        if act == "drop":
            continue
        octets, there = _act(act, frame, link, random, truth)
        pieces += octets
        if there:
            arrived.append((number, frame))
        if act == "repeat":
            _account_repeated(frame, truth)
            arrived += [] if frame.counted else [(number, frame)]
    _keep_books(sent, units, arrived, truth)
    return MapStream(link=link, pieces=tuple(pieces), truth=truth)


def _act(act: str, frame: MapFrame, link: MapLink, random: Random, truth: MapTruth) -> tuple[list[bytes], bool]:
    """What stands in the stream for this frame, and whether the frame arrives."""
    octets = bytearray(frame.octets)
    if act == "repeat":
        return [frame.octets, frame.octets], True
    if act == "foreign":
        truth.foreign_frames += 1
        return [_foreign(frame, link), frame.octets], True
    if act == "spoil":
        octets[random.randrange(8 if link.frame_type == "USLP" else 5, len(octets))] ^= random.randint(1, 255)
        truth.frame_error_control_errors += 1
        return [bytes(octets)], False
    if act == "length":
        octets[5 if link.frame_type == "USLP" else 3] ^= 1 << random.randrange(5)
    if act == "noise":
        # It begins with no version that there is.
        noise = bytes([0xFF if link.frame_type == "TC" else 0]) + random.randbytes(random.randint(0, 90))
        truth.skipped_octets += len(noise)
        truth.resynchronizations += 1
        return [noise, frame.octets], True
    if act == "length":
        truth.skipped_octets += len(octets)
        truth.resynchronizations += 1
        return [bytes(octets)], False
    return [frame.octets], True


def _foreign(frame: MapFrame, link: MapLink) -> bytes:
    """The same frame from another spacecraft."""
    octets = bytearray(frame.octets)
    octets[1] ^= 0x40
    if link.frame_error_control and frame.what != "truncated":
        octets[-2:] = frame_error_control(bytes(octets[:-2])).to_bytes(2, "big")
    return bytes(octets)


def _account_repeated(frame: MapFrame, truth: MapTruth) -> None:
    """A frame without a count that comes twice is two frames."""
    if frame.counted:
        truth.frames[frame.virtual_channel_id] += 1
        truth.repeated_frames[frame.virtual_channel_id] += 1


def _keep_books(
    sent: tuple[MapFrame, ...], units: tuple[_Unit, ...], arrived: list[tuple[int, MapFrame]], truth: MapTruth
) -> None:
    """What the frames that arrived bring, and what the counts say of those that did not."""
    there = {number for number, _ in arrived}
    sequences: dict[tuple[int, int], list[int]] = {}
    carriers: dict[int, list[int]] = {}
    for number, frame in enumerate(sent):
        if frame.counted:
            sequences.setdefault((frame.virtual_channel_id, frame.kind), []).append(number)
        if frame.unit is not None:
            carriers.setdefault(frame.unit, []).append(number)
    for key, numbers in sequences.items():
        _count_losses(key, [number in there for number in numbers], truth)
    for number, frame in arrived:
        truth.frames[frame.virtual_channel_id] += 1
        truth.control_command_frames += frame.what == "command"
        truth.only_idle_data_frames += frame.what == "idle"
        truth.truncated_frames += frame.what == "truncated"
        if frame.unit is None or number != carriers[frame.unit][-1]:
            continue
        unit, span = units[frame.unit], range(carriers[frame.unit][0], number + 1)
        of_kind = sequences.get((frame.virtual_channel_id, frame.kind), []) if len(unit.portions) > 1 else []
        whole = all(each in there for each in carriers[frame.unit])
        if whole and all(each in there for each in of_kind if each in span):
            _deliver(unit, carriers[frame.unit], truth)


def _count_losses(key: tuple[int, int], there: list[bool], truth: MapTruth) -> None:
    """Gaps between frames that arrived; what is missing before the first or behind the last of them nothing tells."""
    run = 0
    begun = False
    for is_there in there:
        if is_there:
            truth.counter_gaps[key] += begun and run > 0
            truth.lost_frames[key] += run if begun else 0
            run, begun = 0, True
        else:
            run += 1


def _deliver(unit: _Unit, numbers: list[int], truth: MapTruth) -> None:
    complete = len(numbers) == len(unit.portions)
    if not complete:
        return
    data = b"".join(unit.portions)
    if unit.stream:
        truth.octet_streams[unit.address] = truth.octet_streams.get(unit.address, b"") + data
    elif unit.packets:
        truth.packets.setdefault(unit.address, []).extend(unit.packets)
    else:
        truth.access_units.setdefault(unit.address, []).append(data)
