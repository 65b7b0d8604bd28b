"""Geometry: what is granted of what is wished, extra buffers, offsets (facts 2, 5, 7.3, 12)."""

from __future__ import annotations

from ..transcript import Scenario
from .steps import Step, closed, opened, receive, register, send, step

WISHES: tuple[dict[str, int], ...] = (
    {},
    {"tx_slots": 1, "rx_slots": 1},
    {"tx_slots": 2, "rx_slots": 3},
    {"tx_slots": 65, "rx_slots": 100},
    {"tx_slots": 5000, "rx_slots": 100000},
    {"tx_rings": 3, "rx_rings": 2, "tx_slots": 32, "rx_slots": 32},
    {"tx_rings": 100, "rx_rings": 17, "tx_slots": 32, "rx_slots": 32},
    {"host_tx_rings": 2, "host_rx_rings": 2},
)


def _wish(name: str, kind: str, wish: dict[str, int]) -> Scenario:
    said = ", ".join(f"{what} {value}" for what, value in wish.items()) or "nothing"
    facts = "5: VALE and pipes follow the wish, clipped to 4096 slots and 16 rings"
    return Scenario(f"memory: {kind}, wished {said}", facts, [*opened("a", name, **wish), *closed("a")])


def _too_many_rings() -> Scenario:
    wish = {"tx_rings": 100, "rx_rings": 17, "tx_slots": 32, "rx_slots": 32}
    steps = [
        step("open", fd="a"),
        register("a", "nmg{1", **wish),
        register("a", "nmg{1", **SMALL),
        step("close", fd="a"),
    ]
    return Scenario("memory: pipe, wished 100 and 17 rings", "5", steps)


def _second(name: str, kind: str) -> Scenario:
    steps = [
        *opened("a", name, tx_slots=32, rx_slots=64),
        *opened("b", name, tx_slots=128, rx_slots=128),
        *closed("a"),
        *opened("c", name),
        *closed("b"),
        *closed("c"),
    ]
    return Scenario(f"memory: {kind}, a second descriptor", "5: an interface record of its own, the same rings", steps)


def _one_ring(ring: int) -> Scenario:
    wish = {"tx_rings": 3, "rx_rings": 3, "tx_slots": 16, "rx_slots": 16}
    steps = [*opened("a", "valeG:a", **wish), *opened("b", "valeG:a", mode=4, ringid=ring), *closed("b"), *closed("a")]
    return Scenario(f"memory: one ring of three, number {ring}", "3.2: ONE_NIC", steps)


def _some_flags(flags: int) -> Scenario:
    steps = [*opened("a", "valeG:f", flags=flags, tx_slots=16, rx_slots=16), *closed("a")]
    return Scenario(f"memory: bound rings with flags {flags:#x}", "2.3, 3.3: 0 means not bound", steps)


def _extra(count: int) -> Scenario:
    wish = {"tx_slots": 16, "rx_slots": 16, "extra_bufs": count}
    return Scenario(f"memory: {count} extra buffers", "7.3", [*opened("a", "valeX:a", **wish), *closed("a")])


def _extra_default() -> Scenario:
    return Scenario(
        "memory: extra buffers with default rings",
        "7.3: 8 asked",
        [*opened("a", "valeX:b", extra_bufs=8), *closed("a")],
    )


def _extra_twice() -> Scenario:
    wish = {"tx_slots": 16, "rx_slots": 16, "extra_bufs": 4}
    return Scenario(
        "memory: extra buffers of two ports in one region",
        "7.3",
        [*opened("a", "nmx{1", **wish), *opened("b", "nmx}1", **wish), *closed("a"), *closed("b")],
    )


def _extra_swapped() -> Scenario:
    wish = {"tx_slots": 8, "rx_slots": 8}
    steps = [
        *opened("a", "nmy{1", **wish, extra_bufs=4),
        *opened("b", "nmy}1", **wish),
        *send("a", 0, 2),
        step("rxsync", fd="b"),
        step("slots", ring="b.r0", runs=[[0, 2, "a.x+1", None, 1, None]]),
        step("extra_list", fd="a", buffers=["a.x+0", "a.t0+0", "a.t0+1", "a.x+3"]),
        step("advance", ring="b.r0"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        *send("a", 2, 6, seed=30),
        *receive("b"),
        *closed("a"),
        *opened("a", "nmy{1"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario("memory: extra buffers swapped into a ring", "7.3: the list names others at close", steps)


def _with_offsets(fd: str, name: str, offsets: dict[str, int], **body: int) -> list[Step]:
    registering = step(
        "control",
        fd=fd,
        request="REGISTER",
        name=name,
        body={"mode": 1, **body},
        options=[{"type": "OFFSETS", **offsets}],
    )
    return [step("open", fd=fd), registering, step("mmap", fd=fd)]


OFFSETS: tuple[dict[str, int], ...] = (
    {"max_offset": 256, "initial_offset": 64},
    {"max_offset": 256, "initial_offset": 64, "offset_bits": 16},
    {"max_offset": 256, "initial_offset": 0, "offset_bits": 32},
    {"max_offset": 0, "initial_offset": 0},
)
SMALL: dict[str, int] = {"tx_slots": 16, "rx_slots": 16}


def _offsets_vale(offsets: dict[str, int]) -> Scenario:
    said = ", ".join(f"{what} {value}" for what, value in offsets.items())
    size = {"max_offset": 256, "initial_offset": 64}
    steps = [
        *_with_offsets("a", "valeO:a", offsets, **SMALL),
        *_with_offsets("b", "valeO:b", size, **SMALL),
        *send("a", 0, 2),
        step("rxsync", fd="b"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario(f"memory: offsets, {said}", "12", steps)


def _offsets_on_transmit(receiver_has: bool, pipe: bool) -> Scenario:
    size = {"max_offset": 256, "initial_offset": 64}
    near, far = ("nmo{1", "nmo}1") if pipe else ("valeO:a", "valeO:b")
    pointers = (0, 64, 128, 100, 256, 300, 1, 63, 65, 200)
    writes = [
        one
        for slot, pointer in enumerate(pointers)
        for one in (
            step("slots", ring="a.t0", runs=[[slot, 1, None, None, None, pointer]]),
            step("frames", ring="a.t0", slot=slot, count=1, length=60, seed=slot),
        )
    ]
    steps = [
        *_with_offsets("a", near, size, **SMALL),
        *(_with_offsets("b", far, size, **SMALL) if receiver_has else opened("b", far, **SMALL)),
        *writes,
        step("advance", ring="a.t0", count=len(pointers)),
        step("txsync", fd="a"),
        step("look", ring="a.t0", slot=0, count=len(pointers)),
        step("rxsync", fd="b"),
        *closed("a"),
        *closed("b"),
    ]
    where, has = "pipe" if pipe else "VALE", "with" if receiver_has else "without"
    return Scenario(f"memory: offsets on a {where}, receiver {has} the option", "12", steps)


def scenarios() -> list[Scenario]:
    return [
        *[_wish("valeG:w", "VALE", wish) for wish in WISHES],
        *[_wish("nmg{1", "pipe", wish) for wish in WISHES if wish.get("tx_rings", 1) < 100],
        _too_many_rings(),
        _second("valeG:s", "VALE"),
        _second("nmg{2", "pipe"),
        _one_ring(0),
        _one_ring(2),
        *[_some_flags(flags) for flags in (0x2000, 0x4000, 0x6000)],
        *[_extra(count) for count in (1, 8, 100)],
        _extra_default(),
        _extra_twice(),
        _extra_swapped(),
        *[_offsets_vale(offsets) for offsets in OFFSETS],
        *[_offsets_on_transmit(has, pipe) for has in (True, False) for pipe in (False, True)],
    ]
