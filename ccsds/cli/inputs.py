"""What `replay` and `convert` read: captures, raw files, hexadecimal lines, standard input."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from io import BufferedReader
from typing import IO, TYPE_CHECKING, Final, cast

import msgspec

from ccsds.cli.problems import InputProblem, UsageProblem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netmap_io.burst import Burst
    from netmap_io.drivers.pcap import PcapReader
    from netmap_io.payload import PayloadExtractor
    from netmap_io.port import Port

__all__ = ["CAPTURE_FRAMES", "CONTAINERS", "PROTOCOLS", "PayloadSource", "Piece", "Selection", "Source", "open_source"]

CONTAINERS: Final = ("auto", "capture", "raw", "hex")
PROTOCOLS: Final = ("auto", "udp", "tcp", "ethernet", "raw")
PIECE_OCTETS = 1 << 20
PACKED_OCTETS = 1 << 16
FIRST_OCTETS = 64
CAPTURE_FRAMES = 4096
_CAPTURE_MAGICS = (
    b"\x0a\x0d\x0d\x0a",
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
)
_GZIP_MAGIC = b"\x1f\x8b\x08"
_HEX = frozenset(b"0123456789abcdefABCDEF \t\r\n")


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Octets as they came: a stretch of a stream, or records with their times."""

    octets: bytes | memoryview
    is_stream: bool
    offsets: NDArray[np.uint64] | None = None
    times_ns: NDArray[np.int64] | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which payloads of a capture, which octets of them, and how fast."""

    protocol: str = "auto"
    port: int | None = None
    offset: int = 0
    length: int | None = None
    pace: str = "flat"


class Source(ABC):
    """An open input: iterate over its pieces; `octets_read` and `octets_total` (None: unknown) tell how far it is."""

    def __init__(self, name: str, octets_total: int | None) -> None:
        self.name = name
        self.octets_total = octets_total
        self.octets_read = 0
        self.remarks: list[str] = []
        self._stack = ExitStack()

    @abstractmethod
    def __iter__(self) -> Iterator[Piece]:
        """The pieces, as they come."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


class RawSource(Source):
    """A file of octets back to back."""

    def __init__(self, name: str, stream: BufferedReader | Unpacked, first: bytes, octets_total: int | None) -> None:
        super().__init__(name, octets_total)
        self._stream, self._first = stream, first

    def __iter__(self) -> Iterator[Piece]:
        piece = self._first  # read1: what comes in through a pipe is looked at when it is there
        while piece:
            self.octets_read += len(piece)
            yield Piece(octets=piece, is_stream=True)
            piece = self._stream.read1(PIECE_OCTETS)


class HexSource(Source):
    """A record in hexadecimal per line; blank lines and lines that begin with # are passed over."""

    def __init__(self, name: str, stream: BufferedReader | Unpacked, first: bytes, octets_total: int | None) -> None:
        super().__init__(name, octets_total)
        self._stream, self._first = stream, first

    def __iter__(self) -> Iterator[Piece]:
        records: list[bytes] = []
        held = 0
        for number, line in enumerate(self._lines(), 1):
            self.octets_read += len(line) + 1
            text = line.strip()
            if not text or text.startswith(b"#"):
                continue
            records.append(self._record(text, number))
            held += len(records[-1])
            if held >= PIECE_OCTETS:
                yield _records(records)
                records, held = [], 0
        if records:
            yield _records(records)

    def _lines(self) -> Iterator[bytes]:
        rest = self._first
        while True:
            *lines, rest = rest.split(b"\n")
            yield from lines
            if len(rest) > 64 * PIECE_OCTETS:
                raise InputProblem(
                    f"{self.name}: a line of more than {len(rest)} characters is not hexadecimal records"
                )
            more = self._stream.read1(PIECE_OCTETS)
            if not more:
                yield rest
                return
            rest += more

    def _record(self, text: bytes, number: int) -> bytes:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            raise InputProblem(f"{self.name}, line {number}: not octets in hexadecimal") from None


class PayloadSource(Source):
    """Payloads of the frames of a port."""

    def __init__(self, name: str, port: Port, extractor: PayloadExtractor, octets_total: int | None) -> None:
        super().__init__(name, octets_total)
        self._frames_of = port
        self._extractor = extractor
        self._streams: set[int] = set()
        self._stack.enter_context(port)

    def _piece(self, payloads: Burst, *, is_stream: bool = False) -> Piece:
        is_tcp = self._extractor.protocol == "tcp"
        streams = {int(number) for number in payloads.interfaces} if is_tcp else set()
        self._streams |= streams
        if len(self._streams) > 1:
            flows = self._extractor.flows
            names = " and ".join(sorted(flows[number] for number in self._streams if number in flows))
            raise UsageProblem(f"{self.name}: several TCP streams carry data ({names}); choose one with --port")
        octets, offsets, times_ns = payloads.buffer, payloads.offsets, payloads.timestamps_ns
        return Piece(octets=octets, is_stream=is_tcp or is_stream, offsets=offsets, times_ns=times_ns)

    def _passed_over(self) -> list[str]:
        """What of the frames did not become payloads."""
        passed_over = {name: count for name, count in self._extractor.counters.items() if count}
        for name in ("frames", "payloads", "payload_octets", "checksum_not_looked_at", "datagrams_reassembled"):
            passed_over.pop(name, None)
        if not passed_over:
            return []
        counted = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in passed_over.items())
        return [f"of {self._frames_of.counters.received_frames:,} frames: {counted}"]


class CaptureSource(PayloadSource):
    """Payloads of a pcap or pcapng capture."""

    def __init__(self, name: str, port: PcapReader, extractor: PayloadExtractor, octets_total: int | None) -> None:
        super().__init__(name, port, extractor, octets_total)
        self._port = port

    def __iter__(self) -> Iterator[Piece]:
        from netmap_io.errors import CaptureDamagedError

        try:
            for burst in self._port.bursts(CAPTURE_FRAMES):
                self.octets_read = self._port.position
                yield self._piece(self._extractor.feed(burst))
        except CaptureDamagedError as error:
            self.remarks.append(f"{error}; what follows cannot be read")
        yield self._piece(self._extractor.finish())
        self.remarks += self._passed_over()

        if self._port.truncated:
            self.remarks.append(f"the capture is cut off: {self._port.truncated_octets:,} octets of a last record")


def open_source(name: str, *, container: str = "auto", selection: Selection | None = None) -> Source:
    """Open a file, or standard input for "-", as what it is recognised as or said to be; gzip is unpacked.

    Raises: InputProblem: empty, or not what it is said to be.  OSError: it cannot be read.
    """
    shown = "standard input" if name == "-" else name
    if name == "-" and sys.stdin is None:
        raise InputProblem(f"{shown}: it is closed")
    stream = cast("BufferedReader", sys.stdin.buffer) if name == "-" else open(name, "rb")  # noqa: SIM115 (the source closes it)
    with ExitStack() as undo:
        if name != "-":
            undo.enter_context(stream)
        status = os.fstat(stream.fileno())
        seekable = stat.S_ISREG(status.st_mode)
        total = status.st_size if seekable else None
        first = stream.read(FIRST_OCTETS)
        if not first:
            raise InputProblem(f"{shown}: it is empty")
        packed = None
        content = first
        if first.startswith(_GZIP_MAGIC) and container != "raw":
            packed = Unpacked(first, stream)
            content = packed.read(FIRST_OCTETS)
            if not content:
                raise InputProblem(f"{shown}: {', '.join(packed.remarks) or 'a gzip stream with nothing in it'}")
        kind = _recognise(content) if container == "auto" else container
        if kind == "capture":
            opened_again = name != "-" and seekable
            held = first if packed is None else packed.taken
            if not opened_again:
                undo.pop_all()  # the thread that copies it reads on
            return _open_capture(shown, None if opened_again else stream, held, total, selection or Selection())
        if selection is not None and selection != Selection():
            raise UsageProblem(f"{shown} is no capture: --protocol, --port, --offset, --length and --pace do not apply")
        reader: BufferedReader | Unpacked = stream if packed is None else packed
        source = (HexSource if kind == "hex" else RawSource)(shown, reader, content, None if packed else total)
        if packed is not None:
            packed.remarks = source.remarks
        source._stack.push(undo.pop_all())
    return source


class Unpacked:
    """Reads what a gzip stream holds, all its members; damage and a missing end become a remark."""

    def __init__(self, first: bytes, stream: BufferedReader) -> None:
        self.taken = first
        """What was read of the packed stream until the first octets came out."""
        self.remarks: list[str] = []
        self._stream, self._packed = stream, first
        self._inflater = zlib.decompressobj(wbits=31)
        self._ended = False

    def read(self, octets: int) -> bytes:
        """Up to so many octets, fewer only at the end."""
        pieces: list[bytes] = []
        wanted = octets
        while wanted > 0 and not self._ended:
            piece = self._inflate(wanted)
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def read1(self, octets: int) -> bytes:
        """As soon as there are any: up to so many octets, none only at the end."""
        piece = b""
        while not piece and not self._ended:
            piece = self._inflate(octets)
        return piece

    def _inflate(self, octets: int) -> bytes:
        if self._inflater.eof:
            self._packed = self._inflater.unused_data or self._more()
            if not self._packed.startswith(_GZIP_MAGIC[:1]):
                self._ended = True
                if self._packed.strip(b"\0"):  # zeros are padding
                    self.remarks.append("what follows the end of the gzip stream is passed over")
                return b""
            self._inflater = zlib.decompressobj(wbits=31)
        packed = self._inflater.unconsumed_tail or self._packed or self._more()
        self._packed = b""
        if not packed:
            return self._stop("the gzip stream is cut off")
        before = self._inflater.copy()
        try:
            return self._inflater.decompress(packed, octets)
        except zlib.error:
            self._stop("the gzip stream is damaged; what follows cannot be read")
            return _until_damage(before, packed)

    def _more(self) -> bytes:
        more = self._stream.read1(PACKED_OCTETS)
        if len(self.taken) < PIECE_OCTETS:
            self.taken += more
        return more

    def _stop(self, remark: str) -> bytes:
        self._ended = True
        self.remarks.append(remark)
        return b""


def _until_damage(inflater: zlib._Decompress, packed: bytes) -> bytes:
    """What still comes out before the octet that is wrong."""
    pieces = []
    with suppress(zlib.error):
        for at in range(len(packed)):
            pieces.append(inflater.decompress(packed[at : at + 1]))
    return b"".join(pieces)


def _recognise(first: bytes) -> str:
    if first.startswith(_CAPTURE_MAGICS):
        return "capture"
    # A line that begins with # is a remark, if it is text; what is then there of records must be hexadecimal.
    records = b"".join(line for line in first.splitlines(keepends=True) if not _is_remark(line))
    return "hex" if len(first) >= 8 and _HEX.issuperset(records) else "raw"


def _is_remark(line: bytes) -> bool:
    return line.startswith(b"#") and all(octet >= 0x20 or octet in b"\t\r\n" for octet in line)


def _open_capture(
    shown: str, stream: IO[bytes] | None, first: bytes, total: int | None, selection: Selection
) -> CaptureSource:
    from netmap_io.drivers.pcap import PcapReader
    from netmap_io.payload import PayloadError, PayloadExtractor

    try:
        extractor = PayloadExtractor(selection.protocol, selection.port, selection.offset, selection.length)
    except PayloadError as error:
        raise UsageProblem(str(error)) from None
    pace = {"flat": None, "original": 1.0}.get(selection.pace, selection.pace)
    try:
        factor = None if pace is None else float(pace)
        if factor is not None and not 0 < factor < float("inf"):
            raise ValueError
    except ValueError:
        raise UsageProblem(f"--pace is flat, original or how many times faster, not {selection.pace!r}") from None
    path = shown if stream is None else _piped_again(first, stream)
    return CaptureSource(shown, PcapReader(path, pace=factor), extractor, total)


def _piped_again(first: bytes, stream: IO[bytes]) -> str:
    """A path under which a stream can be read from its beginning, though its first octets were looked at."""
    reading, writing = os.pipe()

    def copy() -> None:
        with open(writing, "wb", closefd=True) as pipe, suppress(BrokenPipeError):  # the reader may stop early
            pipe.write(first)
            shutil.copyfileobj(stream, pipe, PIECE_OCTETS)

    threading.Thread(target=copy, daemon=True).start()
    return f"/dev/fd/{reading}"


def _records(records: list[bytes]) -> Piece:
    import numpy as np

    offsets = np.zeros(len(records) + 1, dtype=np.uint64)
    np.cumsum([len(record) for record in records], out=offsets[1:])
    times = np.full(len(records), -1, dtype=np.int64)
    return Piece(octets=b"".join(records), is_stream=False, offsets=offsets, times_ns=times)
