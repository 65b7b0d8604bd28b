"""af_xdp: queues of a network interface through AF_XDP.  Frames go from the driver to the port, past the stack."""

from __future__ import annotations

import logging

from netmap_io import _native
from netmap_io.drivers.rings import RingCapabilities, RingPort
from netmap_io.errors import PortAddressError
from netmap_io.port import Counters, LinkType, Options

__all__ = ["XdpPort", "open_address"]

_LOG = logging.getLogger("netmap_io")
_ETHERNET_HEADER_OCTETS = 14
_VLAN_TAG_OCTETS = 4
_KERNEL_HEADROOM = 256
"""What the kernel keeps free in a chunk before a received frame."""
_MODES = {name: name for name in ("auto", "driver", "generic")}
_BUFFERS = {name: name for name in ("auto", "zero_copy", "copy")}
_CHUNKS = {"auto": 0, "2048": 2048, "4096": 4096}


class XdpPort(RingPort):
    """Frames of one queue or several; the first queue sends.  Nobody else sees the frames that the port receives.

    A burst's `interfaces` column holds the number of the queue.  The interface's XDP hook is the port's alone: one port
    for each interface, over as many of its queues as it should serve.  Frames of other queues go to the stack.
    """

    def __init__(
        self,
        interface: str,
        queues: list[int] | None = None,
        *,
        mode: str = "auto",
        buffers: str = "auto",
        chunk_octets: int = 0,
        headroom: int = 0,
        receive_frames: int = 4096,
        transmit_frames: int = 2048,
        retry_ms: int = 1000,
    ) -> None:
        """Open `queues` (none given: queue 0) of `interface` in the calling thread's network namespace.

        mode: driver, generic (any interface, slower), or auto: driver where it works.  buffers: zero_copy, copy (by the
        kernel), or auto.  chunk_octets: 2048, 4096, or 0 for what the MTU needs.  retry_ms: how long to wait for
        what a port closed just before still holds.  Raises PortError.
        """
        numbers = [0] if queues is None else queues
        if not numbers or len(set(numbers)) != len(numbers):
            raise PortAddressError(f"af_xdp: queues {numbers} are none, or not different ones")
        for name, count in (("receive_frames", receive_frames), ("transmit_frames", transmit_frames)):
            if count < 1 or count & (count - 1):
                raise PortAddressError(f"af_xdp: {name}={count} is not a power of two")

        rings = _native.XdpRings(
            interface, numbers, mode, buffers, chunk_octets, headroom, receive_frames, transmit_frames, retry_ms
        )
        mac, mtu = rings.interface()
        driver, refusal, zero_copy, chunk_octets = rings.outcome()
        longest = chunk_octets - _KERNEL_HEADROOM - headroom
        warnings = []
        if refusal is not None:
            warnings.append(f"{interface}: generic mode, slower than the driver's: {refusal}")
        if mtu + _ETHERNET_HEADER_OCTETS + _VLAN_TAG_OCTETS > longest:
            warnings.append(f"{interface}: the kernel drops frames of more than {longest} octets, and counts them")
        remarks = list(warnings)
        if not zero_copy and driver and buffers == "auto":
            remarks.append(f"{interface}: its driver offers no zero copy; the kernel copies each frame")
        for remark in remarks:
            _LOG.log(logging.WARNING if remark in warnings else logging.INFO, "%s", remark)
        super().__init__(
            rings,
            RingCapabilities(
                link_type=LinkType.ETHERNET,
                maximum_frame_octets=min(mtu + _ETHERNET_HEADER_OCTETS, chunk_octets),
                zero_copy=True,
                timestamp_source="none",
                mac=bytes(mac),
                mtu=mtu,
                mode=f"AF_XDP, {'driver' if driver else 'generic'} mode, {'zero copy' if zero_copy else 'copy'}",
                remarks=tuple(remarks),
            ),
        )
        self.interface = interface
        self.queues = tuple(numbers)

    @property
    def counters(self) -> Counters:
        """`sent_frames` are those that the kernel has looked at; what waits in the ring at close is dropped by us."""
        account = self.account
        counted = self._counted
        waiting, refused = account["waiting_to_be_sent"], account["refused_by_device"]
        return Counters(
            received_frames=counted.received_frames,
            received_octets=counted.received_octets,
            sent_frames=counted.sent_frames - waiting - refused,
            sent_octets=counted.sent_octets,
            dropped_by_port=account["pieces_of_long_frames"]
            + account["invalid_descriptors"]
            + (waiting if self.closed else 0),
            dropped_by_ring=account["kernel_receive_ring_full"],
            dropped_by_kernel=account["kernel_dropped"] + refused,
        )


def open_address(target: str, options: Options) -> XdpPort:
    """`af_xdp:eth1?queue=0&mode=auto`; several queues: `queue=0-3` or `queue=0,2`"""
    queues = _queues(options.text("queue", "0") or "")
    mode = options.choice("mode", _MODES, "auto")
    buffers = options.choice("buffers", _BUFFERS, "auto")
    chunk_octets = options.choice("chunk_octets", _CHUNKS, "auto")
    headroom = options.integer("headroom", 0, maximum=1024)
    receive_frames = options.integer("receive_frames", 4096, minimum=1, maximum=1 << 16)
    transmit_frames = options.integer("transmit_frames", 2048, minimum=1, maximum=1 << 16)
    retry_ms = options.integer("retry_ms", 1000, maximum=60_000)
    options.finish()
    return XdpPort(
        target,
        queues,
        mode=mode,
        buffers=buffers,
        chunk_octets=chunk_octets,
        headroom=headroom,
        receive_frames=receive_frames,
        transmit_frames=transmit_frames,
        retry_ms=retry_ms,
    )


def _queues(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and int(end) < 4096 for end in ends):
            raise PortAddressError(f"af_xdp: queue={text} is not a list of numbers and ranges, like 0 or 0-3 or 0,2")
        found.extend(range(int(ends[0]), int(ends[1]) + 1))
    return found
