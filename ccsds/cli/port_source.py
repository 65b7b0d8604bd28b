"""A live input: any port of the link layer, by its address (`udp:127.0.0.1:5000`, `packet:eth1`, `fault+pcap:x`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ccsds.cli.inputs import CAPTURE_FRAMES, PayloadSource, Piece, Selection
from ccsds.cli.problems import UsageProblem

if TYPE_CHECKING:
    from netmap_io.payload import PayloadExtractor
    from netmap_io.port import Port

__all__ = ["PortSource", "is_address", "open_port_source"]

WAIT_SECONDS = 0.2
"""How long a port is waited for before the clock and Ctrl-C have their turn."""


def is_address(name: str) -> bool:
    """True for the address of a port, with wrappers or without; a file of that name goes first."""
    if ":" not in name or Path(name).exists():
        return False
    from netmap_io.port import driver_names

    return name.partition(":")[0].rpartition("+")[2] in driver_names()


class PortSource(PayloadSource):
    """What a port receives, until it has nothing more to give, the time is over, or Ctrl-C.

    Of an Ethernet port: payloads, as of a capture.  Of any other: its records, or a CADU stream, as they come.
    """

    def __init__(self, name: str, port: Port, extractor: PayloadExtractor, seconds: float | None) -> None:
        from netmap_io.port import LinkType

        super().__init__(name, port, extractor, None)
        self._live = port
        self._seconds = seconds
        self._joined = port.capabilities.link_type is LinkType.CADU_STREAM

    def __iter__(self) -> Iterator[Piece]:
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        while not self._live.exhausted and (deadline is None or time.monotonic() < deadline):
            burst = self._live.receive(CAPTURE_FRAMES, WAIT_SECONDS)
            self.octets_read = self._live.counters.received_octets
            if len(burst):
                yield self._piece(self._extractor.feed(burst), is_stream=self._joined)
        yield self._piece(self._extractor.finish(), is_stream=self._joined)
        self.remarks += self._passed_over() + self._dropped()

    def _dropped(self) -> list[str]:
        """What the port, its ring and the kernel let go."""
        counters = self._live.counters
        drops = {
            "the port": counters.dropped_by_port,
            "its ring": counters.dropped_by_ring,
            "the kernel": counters.dropped_by_kernel,
        }
        return [f"{count:,} frames dropped by {name}" for name, count in drops.items() if count]


def open_port_source(address: str, selection: Selection, seconds: float | None) -> PortSource:
    """Open a port to receive from.  Raises: UsageProblem: options that do not fit it.  PortError: it does not open."""
    from netmap_io.payload import PayloadError, PayloadExtractor
    from netmap_io.port import LinkType, open_port

    if selection.pace != "flat":
        raise UsageProblem("--pace is for capture files; of a port write it into the address (pcap:FILE?pace=original)")
    port = open_port(address)
    try:
        ethernet = port.capabilities.link_type is LinkType.ETHERNET
        if not ethernet and selection.protocol != "auto":
            carried = port.capabilities.link_type.value
            raise UsageProblem(f"--protocol is for Ethernet frames; this port carries {carried}")
        protocol = selection.protocol if ethernet else "raw"
        extractor = PayloadExtractor(protocol, selection.port, selection.offset, selection.length)
    except PayloadError as error:
        port.close()
        raise UsageProblem(str(error)) from None
    except UsageProblem:
        port.close()
        raise
    return PortSource(address, port, extractor, seconds)
