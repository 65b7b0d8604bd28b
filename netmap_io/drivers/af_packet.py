"""packet: a network interface through AF_PACKET, with rings both ways.  No driver support and no other rights than
CAP_NET_RAW needed."""

from __future__ import annotations

import mmap

from netmap_io import _native
from netmap_io.drivers.rings import RingCapabilities, RingPort
from netmap_io.errors import PortAddressError
from netmap_io.port import Counters, LinkType, Options

__all__ = ["PacketPort", "open_address"]

_FANOUT = {"none": None, "hash": 0, "lb": 1, "cpu": 2, "rollover": 3, "random": 4, "queue": 5}
_YES_NO = {"yes": True, "no": False}
_ETHERNET_HEADER_OCTETS = 14


class PacketPort(RingPort):
    """Frames of an interface as the kernel's stack sees them, frames sent by others only.

    Received frames are whole: a VLAN tag that the card took out is back in, a checksum that the sender left to the card
    is finished.  Frames that receive offload has joined come as one and are counted (`account["frames_over_mtu"]`).
    """

    def __init__(
        self,
        interface: str,
        *,
        promiscuous: bool = False,
        fanout: str = "none",
        fanout_id: int = 1,
        block_octets: int = 1 << 17,
        blocks: int = 64,
        block_timeout_ms: int = 1,
        transmit_ring: int = 0,
        bypass_queueing: bool = False,
        hardware_timestamps: bool = False,
    ) -> None:
        """Open `interface` in the calling thread's network namespace.  Raises PortError.

        fanout: how ports with the same fanout_id share the frames: hash (a flow stays with a port), lb (in turn), cpu,
        rollover (the next one when one is full), random, queue; none: every port has all.
        block_timeout_ms: how long a frame may wait for others before it is given.
        transmit_ring: slots of a transmit ring; 0: none, frames are sent by calls of many at once.
        """
        if block_octets % mmap.PAGESIZE or block_octets & (block_octets - 1):
            raise PortAddressError(f"packet: block_octets={block_octets} is not a power of two of at least a page")
        mode = _FANOUT[fanout]
        rings = _native.PacketRings(
            interface,
            block_octets,
            blocks,
            block_timeout_ms,
            None if mode is None else (mode, fanout_id),
            promiscuous,
            hardware_timestamps,
            transmit_ring,
            bypass_queueing,
        )
        mac, mtu = rings.interface()
        capabilities = RingCapabilities(
            link_type=LinkType.ETHERNET,
            maximum_frame_octets=mtu + _ETHERNET_HEADER_OCTETS,
            zero_copy=True,
            timestamp_source="the card's clock"
            if hardware_timestamps
            else "the kernel's clock, when it took the frame",
            mac=bytes(mac),
            mtu=mtu,
            mode=f"AF_PACKET, TPACKET_V3 receive ring, {'TPACKET_V2 transmit ring' if transmit_ring else 'sendmmsg'}",
        )
        super().__init__(rings, capabilities)
        self.interface = interface

    @property
    def counters(self) -> Counters:
        account = self.account
        counted = self._counted
        return Counters(
            received_frames=counted.received_frames,
            received_octets=counted.received_octets,
            sent_frames=counted.sent_frames,
            sent_octets=counted.sent_octets,
            dropped_by_port=account["damaged_slots"],
            dropped_by_kernel=account["dropped_by_kernel"],
        )


def open_address(target: str, options: Options) -> PacketPort:
    """`packet:eth1?promiscuous=yes&fanout=hash&fanout_id=7`"""
    fanout = options.choice("fanout", {name: name for name in _FANOUT}, "none")
    fanout_id = options.integer("fanout_id", 1, minimum=0, maximum=65535)
    promiscuous = options.choice("promiscuous", _YES_NO, "no")
    block_octets = options.integer("block_octets", 1 << 17, minimum=mmap.PAGESIZE, maximum=1 << 22)
    blocks = options.integer("blocks", 64, minimum=2, maximum=1 << 16)
    block_timeout_ms = options.integer("block_timeout_ms", 1, minimum=1, maximum=10_000)
    transmit_ring = options.integer("transmit_ring", 0, maximum=1 << 17)
    bypass_queueing = options.choice("queueing", {"bypass": True, "discipline": False}, "discipline")
    hardware = options.choice("timestamps", {"kernel": False, "hardware": True}, "kernel")
    options.finish()
    return PacketPort(
        target,
        promiscuous=promiscuous,
        fanout=fanout,
        fanout_id=fanout_id,
        block_octets=block_octets,
        blocks=blocks,
        block_timeout_ms=block_timeout_ms,
        transmit_ring=transmit_ring,
        bypass_queueing=bypass_queueing,
        hardware_timestamps=hardware,
    )
