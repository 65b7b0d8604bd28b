"""Network devices through the emulated adapter: rings, host rings, lengths, deletion (facts 5, 9, 10, 11)."""

from __future__ import annotations

from typing import Any

from ..transcript import Scenario
from .steps import Step, closed, opened, register, send, step

LOOSE = ["rings/?.t*/tail", "rings/?.T*/tail", "rings/?.[rR]*/slots", "rings/*/time"]
"""A device sends when it does: when a transmit slot comes back, and whether a frame was there a call earlier."""


def _cable(kind: str, facts: str, *steps: Step | list[Step], **pair: int) -> Scenario:
    """The devices nmc0 and nmc1 on one cable."""
    flat = [one for some in steps for one in (some if isinstance(some, list) else [some])]
    begin = step("world", action="pair", near="nmc0", far="nmc1", **pair)
    return Scenario(
        f"devices: {kind}", facts, [begin, *flat, step("world", action="delete", name="nmc0")], LOOSE, "devices"
    )


def _gather(fd: str, count: int, timeout_ms: int = 3000, ring: str = "r0") -> list[Step]:
    name = f"{fd}.{ring}"
    return [step("gather", fd=fd, ring=name, count=count, timeout_ms=timeout_ms), step("advance", ring=name)]


def _both(mode: int = 1) -> list[Step]:
    return [*opened("a", "nmc0", mode), *opened("b", "nmc1", mode)]


def _closed() -> list[Step]:
    return [*closed("a"), *closed("b")]


def _frames() -> Scenario:
    return _cable(
        "frames both ways",
        "5, 9",
        _both(),
        send("a", 0, 10),
        _gather("b", 10),
        send("b", 0, 5, 1514, seed=50),
        _gather("a", 5),
        _closed(),
    )


def _thousand() -> Scenario:
    batches = [one for i in range(0, 1000, 200) for one in [*send("a", i, 200, seed=i), *_gather("b", 200)]]
    return _cable("a thousand frames", "9: all, in order", _both(), batches, _closed())


def _lengths() -> Scenario:
    sizes = (14, 59, 60, 61, 1514, 1515)
    sends = [one for i, n in enumerate(sizes) for one in send("a", i, 1, n, seed=i)]
    return _cable("lengths that pass", "9: MTU + 15 passes", _both(), sends, _gather("b", len(sizes)), _closed())


def _dropped(length: int) -> Scenario:
    return _cable(
        f"length {length}",
        "9: dropped, success",
        _both(),
        send("a", 0, 1, length),
        _gather("b", 1, 300),
        send("a", 1, 1),
        _gather("b", 1),
        _closed(),
    )


def _lying_length() -> Scenario:
    return _cable(
        "a len above the buffer",
        "9: dropped",
        _both(),
        step("slots", ring="a.t0", runs=[[0, 1, None, 3000, 0, 0]]),
        step("advance", ring="a.t0", count=1),
        step("txsync", fd="a"),
        step("look", ring="a.t0", slot=0, count=1),
        _gather("b", 1, 300),
        _closed(),
    )


def _fragments() -> Scenario:
    return _cable(
        "fragments on transmit",
        "9: ignored, each slot becomes a frame",
        _both(),
        step("frames", ring="a.t0", slot=0, count=2, length=100, flags=0x20),
        step("frames", ring="a.t0", slot=2, count=1, length=60, seed=2),
        step("advance", ring="a.t0", count=3),
        step("txsync", fd="a"),
        _gather("b", 3),
        _closed(),
    )


def _long_from_stack() -> Scenario:
    return _cable(
        "a frame of more than one buffer",
        "9: 3000 octets arrive as 2048 with flag 0x20 and 952",
        step("world", action="mtu", name="nmc1", octets=4000),
        opened("a", "nmc0"),
        step("world", action="mtu", name="nmc0", octets=4000),
        step("world", action="stack_send", name="nmc1", count=1, length=3000, seed=3),
        _gather("a", 2),
        closed("a"),
    )


def _mtu(octets: int) -> Scenario:
    return _cable(
        f"MTU {octets}",
        "9, 10: above 2048 registering is refused",
        step("world", action="mtu", name="nmc0", octets=octets),
        step("open", fd="a"),
        register("a", "nmc0"),
        step("close", fd="a"),
    )


def _geometry(mode: int, queues: int = 1, **body: int) -> Scenario:
    said = "".join(f", {name} {value}" for name, value in body.items())
    return _cable(
        f"mode {mode}, {queues} queues{said}",
        "2.3, 3.2, 5: the wish is ignored",
        opened("a", "nmc0", mode, **body),
        closed("a"),
        queues=queues,
    )


def _no_such_ring() -> Scenario:
    return _cable(
        "rings that are not there",
        "3.2, 10",
        step("open", fd="a"),
        register("a", "nmc0", 4, ringid=7),
        register("a", "nmc0", 8, ringid=7),
        register("a", "nmc0", 7),
        step("close", fd="a"),
        queues=2,
    )


def _host_rings() -> Scenario:
    return _cable(
        "host rings",
        "9: what the stack sends comes on the host's receive ring; what is given to its transmit ring it receives",
        _both(3),
        step("world", action="stack_listen", name="nmc0"),
        step("world", action="stack_send", name="nmc0", count=10, length=60, seed=100),
        step("gather", fd="a", ring="a.R0", count=10, timeout_ms=3000),
        step("advance", ring="a.R0"),
        step("rxsync", fd="a"),
        send("a", 0, 10, ring="T0", seed=200),
        step("world", action="stack_receive", name="nmc0", count=10),
        _closed(),
    )


def _nic_only_takes_stack() -> Scenario:
    return _cable(
        "what the stack sends without host rings",
        "9: goes nowhere",
        _both(1),
        step("world", action="stack_send", name="nmc0", count=3, length=60, seed=100),
        _gather("b", 1, 300),
        _closed(),
    )


def _host_forwarded() -> Scenario:
    return _cable(
        "from the stack to the cable without a copy",
        "7.2, 9",
        opened("a", "nmc0", 3),
        opened("b", "nmc1"),
        step("world", action="stack_send", name="nmc0", count=3, length=100, seed=100),
        step("gather", fd="a", ring="a.R0", count=3, timeout_ms=3000),
        step("slots", ring="a.t0", runs=[[0, 3, "a.R0+0", 100, 1, 0]]),
        step("slots", ring="a.R0", runs=[[0, 3, "a.t0+0", None, 1, None]]),
        step("advance", ring="a.R0"),
        step("advance", ring="a.t0", count=3),
        step("rxsync", fd="a"),
        step("txsync", fd="a"),
        _gather("b", 3),
        _closed(),
    )


def _slow() -> Scenario:
    batches = [one for i in range(0, 1500, 300) for one in send("a", i % 1024, 300, seed=i)]
    return _cable(
        "a receiver that is slow",
        "9: dropped when the ring is full",
        _both(),
        batches,
        step("gather", fd="b", ring="b.r0", count=1023, timeout_ms=3000),
        _closed(),
    )


def _busy() -> Scenario:
    return _cable(
        "busy",
        "10, 13: exclusive, or attached to a switch",
        opened("a", "nmc0"),
        step("open", fd="b"),
        register("b", "nmc0", flags=0x800),
        closed("a"),
        step("control", fd="b", request="VALE_ATTACH", name="valeB:nmc0", body={"mode": 1}),
        step("open", fd="c"),
        register("c", "nmc0"),
        step("control", fd="b", request="VALE_ATTACH", name="valeB:nmc0", body={"mode": 1}),
        step("control", fd="b", request="VALE_LIST", name="valeB:nmc0", body={}),
        step("control", fd="b", request="PORT_HDR_SET", name="nmc0", body={"hdr_len": 10}),
        step("control", fd="b", request="VALE_DETACH", name="valeB:nmc0", body={}),
        step("control", fd="b", request="VALE_DETACH", name="valeB:nmc0", body={}),
        step("close", fd="b"),
        step("close", fd="c"),
    )


def _attached() -> Scenario:
    return _cable(
        "a device on a switch",
        "13: frames injected on another port leave through it",
        step("open", fd="z"),
        step("control", fd="z", request="VALE_ATTACH", name="valeB:nmc0", body={"mode": 1}),
        opened("v", "valeB:v", tx_slots=64, rx_slots=64),
        opened("b", "nmc1"),
        send("v", 0, 5),
        _gather("b", 5),
        send("b", 0, 4, source="020000000002", seed=30),
        _gather("v", 4),
        closed("v"),
        closed("b"),
        step("control", fd="z", request="VALE_DETACH", name="valeB:nmc0", body={}),
        step("close", fd="z"),
    )


def _gone() -> Scenario:
    steps: list[Any] = [
        step("world", action="pair", near="nmc0", far="nmc1"),
        *opened("a", "nmc0"),
        step("world", action="delete_begin", name="nmc0"),
        step("txsync", fd="a"),
        step("rxsync", fd="a"),
        step("poll", fd="a", events="i", timeout_ms=50),
        step("poll", fd="a", events="o", timeout_ms=50),
        *closed("a"),
        step("world", action="delete_end", name="nmc0"),
    ]
    return Scenario(
        "devices: deleted while registered",
        "11.2: EIO and POLLERR; the deletion waits for the close",
        steps,
        LOOSE,
        "devices",
    )


def _monitor(flags: int) -> Scenario:
    return _cable(
        f"a monitor, flags {flags:#x}",
        "9: a frame sent appears with flags 0x0040",
        _both(),
        opened("m", "nmc0", flags=flags),
        send("a", 0, 3),
        _gather("b", 3),
        step("txsync", fd="a"),
        step("gather", fd="m", ring="m.r0", count=3, timeout_ms=300),
        send("b", 0, 2, seed=40),
        _gather("a", 2),
        step("rxsync", fd="a"),
        step("gather", fd="m", ring="m.r0", count=5, timeout_ms=300),
        closed("m"),
        _closed(),
    )


def scenarios() -> list[Scenario]:
    return [
        _frames(),
        _thousand(),
        _lengths(),
        *[_dropped(length) for length in (0, 13, 1600)],
        _lying_length(),
        _fragments(),
        _long_from_stack(),
        *[_mtu(octets) for octets in (2048, 2049)],
        *[_geometry(mode) for mode in (1, 2, 3)],
        _geometry(1, 2),
        _geometry(4, 2, ringid=1),
        _geometry(8, ringid=0),
        _geometry(1, tx_slots=64, rx_slots=64, tx_rings=3),
        _geometry(1, extra_bufs=8),
        _geometry(1, flags=0x2000),
        _no_such_ring(),
        _host_rings(),
        _nic_only_takes_stack(),
        _host_forwarded(),
        _slow(),
        _busy(),
        _attached(),
        _gone(),
        *[_monitor(flags) for flags in (0x100, 0x200, 0x300)],
    ]
