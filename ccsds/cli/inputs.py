"""What `replay` and `convert` read: captures, raw files, hexadecimal lines, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from ccsds.cli.problems import InputProblem, UsageProblem

if TYPE_CHECKING:
    import numpy as np
    from netmap_io.payload import PayloadExtractor
    from netmap_io.port import Port
    from numpy.typing import NDArray

__all__ = ["CONTAINERS", "PROTOCOLS", "Piece", "Selection", "Source", "open_source"]

CONTAINERS: Final = ("auto", "capture", "raw", "hex")
PROTOCOLS: Final = ("auto", "udp", "tcp", "ethernet", "raw")
PIECE_OCTETS = 1 << 20
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
    offsets: NDArray[np.uint64] | None = None
    times_ns: NDArray[np.int64] | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which payloads of a capture, which octets of them, and how fast."""

    protocol: str = "auto"
    port: int | None = None
    offset: int = 0
    length: int | None = None
    pace: str = "flat"

    def __post_init__(self) -> None:
        if self.port is not None and self.protocol in ("ethernet", "raw"):
            raise ValueError(f"--port goes with udp or tcp, not with --protocol {self.protocol}")


class Source:
    """An open input: iterate over its pieces; `octets_read` and `octets_total` (None: unknown) tell how far it is."""

    def __init__(self, name: str, octets_total: int | None) -> None:
        self.name = name
        self.octets_total = octets_total
        self.octets_read = 0
        self.remarks: list[str] = []
        self._stack = ExitStack()

    def __iter__(self) -> Iterator[Piece]:
        raise NotImplementedError

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


class RawSource(Source):
    """A file of octets back to back."""

    def __init__(self, name: str, stream: IO[bytes], first: bytes, octets_total: int | None) -> None:
        super().__init__(name, octets_total)
        self._stream, self._first = stream, first

    def __iter__(self) -> Iterator[Piece]:
        piece = self._first + self._stream.read(PIECE_OCTETS - len(self._first))
        while piece:
            self.octets_read += len(piece)
            yield Piece(octets=piece)
            piece = self._stream.read(PIECE_OCTETS)


class HexSource(Source):
    """A record in hexadecimal per line; blank lines and lines that begin with # are passed over."""

    def __init__(self, name: str, stream: IO[bytes], first: bytes, octets_total: int | None) -> None:
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
            more = self._stream.read(PIECE_OCTETS)
            if not more:
                yield rest
                return
            rest += more

    def _record(self, text: bytes, number: int) -> bytes:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            raise InputProblem(f"{self.name}, line {number}: not octets in hexadecimal") from None


class CaptureSource(Source):
    """Payloads of a pcap or pcapng capture."""

    def __init__(self, name: str, port: Port, extractor: PayloadExtractor, octets_total: int | None) -> None:
        super().__init__(name, octets_total)
        self._port, self._extractor = port, extractor
        self._stack.enter_context(port)

    def __iter__(self) -> Iterator[Piece]:
        for burst in self._port.bursts(CAPTURE_FRAMES):
            self.octets_read = self._port.counters.received_octets
            payloads = self._extractor.feed(burst)
            yield Piece(octets=payloads.buffer, offsets=payloads.offsets, times_ns=payloads.timestamps_ns)
        self.remarks += capture_remarks(self._port, self._extractor)


def capture_remarks(port: Any, extractor: Any) -> list[str]:
    """What of a capture did not become payloads, a sentence each."""
    raise NotImplementedError


def open_source(name: str, *, container: str = "auto", selection: Selection | None = None) -> Source:
    """Open a file, or standard input for "-", as what it is recognised as or said to be.

    Raises: InputProblem: empty, or not what it is said to be.  OSError: it cannot be read.
    """
    stream: IO[bytes] = sys.stdin.buffer if name == "-" else open(name, "rb")
    raise NotImplementedError


def _records(records: list[bytes]) -> Piece:
    import numpy as np

    offsets = np.zeros(len(records) + 1, dtype=np.uint64)
    np.cumsum([len(record) for record in records], out=offsets[1:])
    times = np.full(len(records), -1, dtype=np.int64)
    return Piece(octets=b"".join(records), offsets=offsets, times_ns=times)
