"""pcap: capture files as ports, both formats, reading and writing.

Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.  The walking and the rendering are in `netmap_io._native`.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from netmap_io import _native
from netmap_io.burst import COMMENT, ETHERNET, RAW_OCTETS, Burst
from netmap_io.errors import (
    CaptureError,
    CaptureUnreadableError,
    LinkTypeError,
    PortAddressError,
    PortUnsupportedError,
)
from netmap_io.pace import Pace
from netmap_io.port import Capabilities, Counters, LinkType, Options, Port

__all__ = ["Interface", "PcapReader", "PcapWriter", "Section", "Statistics", "open_address"]

MAXIMUM_BLOCK_OCTETS = 16 << 20
PIECE_OCTETS = 1 << 20
_NO_LIMIT_READS = 2**63 - 1

_LINK_TYPES = {
    "ethernet": (LinkType.ETHERNET, ETHERNET),
    "raw_octets": (LinkType.RAW_OCTETS, RAW_OCTETS),
    "cadu_stream": (LinkType.CADU_STREAM, RAW_OCTETS),
    "transfer_frames": (LinkType.TRANSFER_FRAMES, RAW_OCTETS),
}
_IF_NAME, _IF_DESCRIPTION, _SHB_HARDWARE, _SHB_OS, _SHB_APPLICATION = 2, 3, 2, 3, 4
_ISB_START, _ISB_END, _ISB_RECEIVED, _ISB_DROPPED, _ISB_ACCEPTED, _ISB_OS_DROPPED, _ISB_DELIVERED = range(2, 9)
_NAME_IPV4, _NAME_IPV6 = 1, 2

RawOptions = list[tuple[int, bytes]]


def _text(options: RawOptions, code: int) -> str | None:
    return next((value.decode("utf-8", "replace") for c, value in options if c == code), None)


def _comments(options: RawOptions) -> list[str]:
    return [value.decode("utf-8", "replace") for code, value in options if code == COMMENT]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A pcapng section; a classic pcap file is one."""

    big_endian: bool
    version: tuple[int, int]
    options: RawOptions

    @property
    def comments(self) -> list[str]:
        return _comments(self.options)

    @property
    def hardware(self) -> str | None:
        return _text(self.options, _SHB_HARDWARE)

    @property
    def operating_system(self) -> str | None:
        return _text(self.options, _SHB_OS)

    @property
    def application(self) -> str | None:
        return _text(self.options, _SHB_APPLICATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a capturing machine counted on an interface; None where it does not say."""

    timestamp_ns: int = -1
    received: int | None = None
    dropped_by_interface: int | None = None
    accepted_by_filter: int | None = None
    dropped_by_operating_system: int | None = None
    delivered: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface that a capture describes.  `resolution` and `offset_s` as in if_tsresol and if_tsoffset."""

    section: int
    link_type: int
    snap_length: int
    resolution: int
    offset_s: int
    options: RawOptions
    statistics: Statistics | None

    @property
    def name(self) -> str | None:
        return _text(self.options, _IF_NAME)

    @property
    def description(self) -> str | None:
        return _text(self.options, _IF_DESCRIPTION)

    @property
    def comments(self) -> list[str]:
        return _comments(self.options)


class PcapReader(Port):
    """A capture that is read: a file, standard input ("-") or octets, plain or gzip, pcap or pcapng.

    Memory stays at about a piece or the longest block, whatever the capture claims.  A damaged capture gives the frames
    before the damage, then raises CaptureDamagedError; a last record that is not all there only counts
    (`truncated`, `truncated_octets`).
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        pace: float | None = None,
        link_type: str | None = None,
        piece_octets: int = PIECE_OCTETS,
        maximum_block_octets: int = MAXIMUM_BLOCK_OCTETS,
    ) -> None:
        """Open `source`: a path, "-", or the octets of a capture.

        pace: None for flat out, 1.0 for the original timing, N for N times faster.  link_type: what the frames are,
        where the capture's number does not tell.  Raises CaptureError.
        """
        super().__init__()
        self.path = "octets" if isinstance(source, bytes) else "standard input" if source == "-" else os.fspath(source)
        self._poll: select.poll | None = None
        self._reader: _native.CaptureReader | None = self._open(source, piece_octets, maximum_block_octets)
        self._pace = None if pace is None else Pace(pace)
        self._waiting: Burst | None = None
        self._link_numbers: NDArray[np.uint16] = np.zeros(0, dtype=np.uint16)
        self._link_number: int | None = None  # where it is the same for all interfaces
        self._received = Counters()
        self._exhausted = False
        try:
            self._reader.next_batch(0, _NO_LIMIT_READS)
        except CaptureError as error:
            if not self._reader.state()["interfaces"]:
                self._reader = None
                self.closed = True
                raise self._named(error) from None
            # there is something to say and perhaps something to give before the damage: receive will raise
        if self._reader.state()["compressed"]:
            self._poll = None  # what the decompressor holds back does not show in the descriptor
        self.capabilities = self._capabilities(link_type, maximum_block_octets)

    def _open(self, source: str | os.PathLike[str] | bytes, piece: int, maximum: int) -> _native.CaptureReader:
        if isinstance(source, bytes):
            return _native.CaptureReader.open_memory(source, piece, maximum)
        try:
            if source == "-":
                self._watch(sys.stdin.fileno())
                return _native.CaptureReader.open_standard_input(piece, maximum)
            if stat.S_ISDIR(os.stat(source).st_mode):
                raise CaptureUnreadableError("it is a directory", path=self.path)
            return _native.CaptureReader.open_file(source, piece, maximum)
        except CaptureError as error:
            raise self._named(error) from None
        except OSError as error:
            raise CaptureUnreadableError((error.strerror or str(error)).lower(), path=self.path) from None
        except ValueError as error:
            raise CaptureUnreadableError(str(error), path=self.path) from None

    def _watch(self, descriptor: int) -> None:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)

    def _named(self, error: CaptureError) -> CaptureError:
        return type(error)(error.message, error.octet_offset, self.path)

    def _native_reader(self) -> _native.CaptureReader:
        self.require_open()
        if self._reader is None:
            raise PortUnsupportedError("this capture could not be opened")
        return self._reader

    def _capabilities(self, link_type: str | None, maximum: int) -> Capabilities:
        interfaces = self._native_reader().link_types(0)
        number = interfaces[0] if interfaces else RAW_OCTETS
        guess = "ethernet" if number == ETHERNET else "raw_octets"
        kind, _ = _LINK_TYPES[link_type or guess]
        return Capabilities(
            link_type=kind,
            maximum_frame_octets=maximum,
            sends=False,
            timestamp_source="capture",
        )

    @property
    def counters(self) -> Counters:
        """Received, and the drops that the capturing machine recorded in the capture."""
        counted = [each.statistics for each in self.interfaces if each.statistics]
        ring = [each.dropped_by_interface for each in counted if each.dropped_by_interface is not None]
        kernel = [each.dropped_by_operating_system for each in counted if each.dropped_by_operating_system is not None]
        return Counters(
            received_frames=self._received.received_frames,
            received_octets=self._received.received_octets,
            dropped_by_ring=sum(ring) if ring else None,
            dropped_by_kernel=sum(kernel) if kernel else None,
        )

    @property
    def format(self) -> str:
        """ "pcap" or "pcapng"."""
        return str(self._native_reader().catalogue()["format"])

    @property
    def sections(self) -> list[Section]:
        """The sections so far."""
        given = self._native_reader().catalogue()["sections"]
        return [
            Section(big_endian=big_endian, version=(major, minor), options=options)
            for big_endian, major, minor, options in given
        ]

    @property
    def interfaces(self) -> list[Interface]:
        """The interfaces so far, all sections; a burst's `interfaces` column counts in this list."""
        names = ("section", "link_type", "snap_length", "resolution", "offset_s", "options")
        found = []
        catalogue = self._native_reader().catalogue()
        for *values, statistics in catalogue["interfaces"]:
            fields = dict(zip(names, values, strict=True))
            big_endian = catalogue["sections"][fields["section"]][0]
            counted = None if statistics is None else _statistics(statistics, "big" if big_endian else "little")
            found.append(Interface(**fields, statistics=counted))
        return found

    @property
    def names(self) -> list[tuple[str, str]]:
        """(address, name) from the name resolution blocks so far."""
        return [
            pair
            for code, value in self._native_reader().catalogue()["names"]
            if code in (_NAME_IPV4, _NAME_IPV6)
            for pair in _names(4 if code == _NAME_IPV4 else 16, value)
        ]

    @property
    def truncated(self) -> bool:
        """Whether the capture stops within a record, or within its gzip stream.  Known when exhausted."""
        return bool(self._native_reader().state()["truncated"])

    @property
    def truncated_octets(self) -> int:
        """Octets of a last record that is not all there."""
        return int(self._native_reader().state()["truncated_octets"])

    @property
    def account(self) -> dict[str, int]:
        """What was passed over: other_blocks, malformed_options, metadata_not_kept, times_out_of_range, ..."""
        state = self._native_reader().state()
        return {name: int(value) for name, value in state.items() if name not in ("at_end", "ended", "compressed")}

    @property
    def position(self) -> int:
        """Octets of the (uncompressed) capture walked so far: progress."""
        return int(self._native_reader().state()["position"])

    @property
    def exhausted(self) -> bool:
        return self._exhausted and self._waiting is None

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        """As Port says.  Raises CaptureDamagedError where the capture cannot be read on."""
        self.require_open()
        if max_frames < 1:
            raise ValueError("max_frames must be 1 or more")
        deadline = None if timeout is None else time.monotonic() + timeout
        paced = self._pace
        burst = self._next(max_frames, deadline) if paced is None else self._paced(paced, max_frames, deadline)
        self._received.received_frames += len(burst)
        self._received.received_octets += burst.octets
        return burst

    def _paced(self, pace: Pace, max_frames: int, deadline: float | None) -> Burst:
        while True:
            waiting = self._next(max_frames, deadline) if self._waiting is None else self._waiting
            self._waiting = None
            if not len(waiting):
                return waiting
            count, wait_ns = pace.due(waiting.timestamps_ns[:max_frames], time.monotonic_ns())
            if count:
                self._waiting = waiting.part(count, len(waiting)) if count < len(waiting) else None
                return waiting.part(0, count)
            self._waiting = waiting
            left = wait_ns / 1e9
            if deadline is not None:
                left = min(left, deadline - time.monotonic())
                if left <= 0:
                    return waiting.part(0, 0)
            time.sleep(left)

    def _next(self, max_frames: int, deadline: float | None) -> Burst:
        reader = self._native_reader()
        reads = _NO_LIMIT_READS if self._poll is None else 0
        while True:
            try:
                columns = reader.next_batch(max_frames, reads)
            except CaptureError as error:
                raise self._named(error) from None
            if len(columns[2]):
                return Burst.of_native(columns, self._numbers(columns[4]))
            if reader.state()["at_end"]:
                reader.finish()
                self._exhausted = True
                return Burst.of_native(columns, RAW_OCTETS)
            if not self._wait(deadline):
                return Burst.of_native(columns, RAW_OCTETS)
            reads = 1

    def _wait(self, deadline: float | None) -> bool:
        """Whether there is something to read before the deadline."""
        if self._poll is None:
            return True
        left = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000))
        return bool(self._poll.poll(left))

    def _numbers(self, interfaces: Any) -> NDArray[np.uint16] | int:
        """The link type of each frame."""
        new = self._native_reader().link_types(len(self._link_numbers))
        if new:
            self._link_numbers = np.append(self._link_numbers, np.array(new, dtype=np.uint16))
            first = int(self._link_numbers[0])
            self._link_number = first if bool((self._link_numbers == first).all()) else None
        if self._link_number is not None:
            return self._link_number
        numbers: NDArray[np.uint16] = self._link_numbers[np.frombuffer(interfaces, dtype=np.uint32)]
        return numbers

    def send(self, burst: Burst) -> int:
        self.require_open()
        raise PortUnsupportedError("a capture opened for reading takes no frames; open it with mode=write")

    def flush(self) -> None:
        self.require_open()

    def _release(self) -> None:
        self._reader = None
        self._waiting = None


class PcapWriter(Port):
    """A capture that is written.  Takes all it is given; a burst's annotations become packet options in pcapng."""

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        format: str = "pcapng",
        nanoseconds: bool = True,
        big_endian: bool = False,
        link_type: str | int = "ethernet",
        snap_length: int = 0,
        name: str | None = None,
        description: str | None = None,
        comment: str | None = None,
    ) -> None:
        """Create `target`: a path, "-" for standard output, or a binary file.

        link_type: one of ethernet, raw_octets, cadu_stream, transfer_frames, or a LINKTYPE number.  name and
        description are the interface's, comment the section's; only pcapng holds them.
        """
        super().__init__()
        if format not in ("pcap", "pcapng"):
            raise ValueError(f"format is pcap or pcapng, not {format!r}")
        if format == "pcap" and (name or description or comment):
            raise ValueError("pcap has no place for a name, description or comment; pcapng does")
        kind, self._number = _link_type(link_type)
        self.capabilities = Capabilities(
            link_type=kind,
            maximum_frame_octets=MAXIMUM_BLOCK_OCTETS - 64,
            receives=False,
            timestamp_source="as sent",
        )
        self._counters = Counters()
        self._pcapng = format == "pcapng"
        self._writer = _native.CaptureWriter(self._pcapng, big_endian, nanoseconds, self._number, snap_length)
        section = _encoded((COMMENT, comment), (_SHB_APPLICATION, "netmap_io"))
        header = self._writer.header(section, _encoded((_IF_NAME, name), (_IF_DESCRIPTION, description)))
        self.path, self._file, self._owned = _create(target)
        self._write(header)

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def exhausted(self) -> bool:
        return True

    def receive(self, max_frames: int = 65536, timeout: float | None = None) -> Burst:
        self.require_open()
        raise PortUnsupportedError("a capture opened for writing gives no frames; open it with mode=read")

    def send(self, burst: Burst) -> int:
        self.require_open()
        if not len(burst):
            return 0
        other = burst.link_types[burst.link_types != self._number]
        if len(other):
            raise LinkTypeError(
                f"this capture holds frames of link type {self._number}; the burst has frames of {int(other[0])}"
            )
        if int(burst.lengths.max()) > self.capabilities.maximum_frame_octets:
            raise ValueError(f"a frame is longer than the {self.capabilities.maximum_frame_octets} octets of this port")
        self._write(self._writer.frames(burst.columns(), burst.annotations if self._pcapng else []))
        self._counters.sent_frames += len(burst)
        self._counters.sent_octets += burst.octets
        return len(burst)

    def write_statistics(self, statistics: Statistics) -> None:
        """Add an interface statistics block."""
        self.require_open()
        if not self._pcapng:
            raise PortUnsupportedError("pcap has no place for statistics; pcapng does")
        values = (
            (_ISB_RECEIVED, statistics.received),
            (_ISB_DROPPED, statistics.dropped_by_interface),
            (_ISB_ACCEPTED, statistics.accepted_by_filter),
            (_ISB_OS_DROPPED, statistics.dropped_by_operating_system),
            (_ISB_DELIVERED, statistics.delivered),
        )
        counts = [(code, value) for code, value in values if value is not None]
        self._write(self._writer.statistics(statistics.timestamp_ns, counts))

    def flush(self) -> None:
        self.require_open()
        try:
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from None

    def _write(self, octets: Any) -> None:
        try:
            self._file.write(octets)
        except OSError as error:
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> CaptureUnreadableError:
        return CaptureUnreadableError((error.strerror or str(error)).lower(), path=self.path)

    def _release(self) -> None:
        try:
            if self._owned:
                self._file.close()
            else:
                self._file.flush()
        except OSError as error:
            raise self._refused(error) from None


def _link_type(link_type: str | int) -> tuple[LinkType, int]:
    if isinstance(link_type, int) or link_type.isdecimal():
        number = int(link_type)
        if not 0 <= number <= 0xFFFF:
            raise ValueError(f"a LINKTYPE number has 16 bits; {number} has more")
        return (LinkType.ETHERNET if number == ETHERNET else LinkType.RAW_OCTETS), number
    if link_type not in _LINK_TYPES:
        raise ValueError(f"link_type={link_type} is not one of {', '.join(_LINK_TYPES)} or a LINKTYPE number")
    return _LINK_TYPES[link_type]


def _encoded(*options: tuple[int, str | None]) -> RawOptions:
    return [(code, text.encode()) for code, text in options if text]


def _create(target: str | os.PathLike[str] | BinaryIO) -> tuple[str, BinaryIO, bool]:
    if not isinstance(target, str | os.PathLike):
        return str(getattr(target, "name", "output")), target, False
    if target == "-":
        return "standard output", sys.stdout.buffer, False
    path = os.fspath(target)
    try:
        return path, open(path, "wb"), True
    except OSError as error:
        raise CaptureUnreadableError((error.strerror or str(error)).lower(), path=path) from None


def _statistics(given: tuple[int, RawOptions], byte_order: Literal["little", "big"]) -> Statistics:
    timestamp_ns, options = given
    counts = {code: int.from_bytes(value, byte_order) for code, value in options if len(value) == 8}
    return Statistics(
        timestamp_ns=timestamp_ns,
        received=counts.get(_ISB_RECEIVED),
        dropped_by_interface=counts.get(_ISB_DROPPED),
        accepted_by_filter=counts.get(_ISB_ACCEPTED),
        dropped_by_operating_system=counts.get(_ISB_OS_DROPPED),
        delivered=counts.get(_ISB_DELIVERED),
    )


def _names(address_octets: int, value: bytes) -> list[tuple[str, str]]:
    if len(value) < address_octets:
        return []
    address = str(ip_address(value[:address_octets]))
    texts = value[address_octets:].split(b"\0")
    return [(address, text.decode("utf-8", "replace")) for text in texts if text]


def _pace(driver: str, text: str) -> float | None:
    if text == "flat_out":
        return None
    if text == "original":
        return 1.0
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise PortAddressError(f"{driver}: pace={text} is not flat_out, original, or how many times faster")
    return speed


def open_address(target: str, options: Options) -> Port:
    """`pcap:FILE?mode=read&pace=flat_out&link_type=...` or `pcap:FILE?mode=write&format=pcapng&...`"""
    if not target:
        raise PortAddressError("pcap: needs a file, as in pcap:capture.pcapng, or - for standard input")
    if options.choice("mode", {"read": False, "write": True}, "read"):
        return _open_for_writing(target, options)
    pace = _pace(options.driver, options.text("pace", "flat_out") or "")
    link_type = options.text("link_type")
    if link_type is not None and link_type not in _LINK_TYPES:
        raise PortAddressError(f"pcap: link_type={link_type} is not one of {', '.join(_LINK_TYPES)}")
    piece = options.integer("piece_octets", PIECE_OCTETS, minimum=1, maximum=1 << 30)
    maximum = options.integer("maximum_block_octets", MAXIMUM_BLOCK_OCTETS, minimum=32, maximum=1 << 31)
    options.finish()
    return PcapReader(target, pace=pace, link_type=link_type, piece_octets=piece, maximum_block_octets=maximum)


def _open_for_writing(target: str, options: Options) -> PcapWriter:
    arguments: dict[str, Any] = {
        "format": options.choice("format", {"pcapng": "pcapng", "pcap": "pcap"}, "pcapng"),
        "nanoseconds": options.choice("resolution", {"ns": True, "us": False}, "ns"),
        "big_endian": options.choice("byte_order", {"little": False, "big": True}, "little"),
        "link_type": options.text("link_type", "ethernet"),
        "snap_length": options.integer("snap_length", 0, maximum=0xFFFFFFFF),
        "name": options.text("name"),
        "description": options.text("description"),
        "comment": options.text("comment"),
    }
    options.finish()
    try:
        return PcapWriter(target, **arguments)
    except ValueError as error:
        raise PortAddressError(f"pcap: {error}") from None
