"""Pipes: what goes in comes out, back-pressure, trust, ring errors, poll (facts 3.4, 6, 7, 8, 9)."""

from __future__ import annotations

from typing import Any

from ..transcript import Scenario
from .steps import Step, closed, opened, receive, register, send, step

SMALL: dict[str, Any] = {"tx_slots": 8, "rx_slots": 8}


def _pipe(kind: str, facts: str, *steps: Step | list[Step], size: dict[str, Any] | None = None) -> Scenario:
    """Both ends of a pipe, the master a and the slave b; small rings unless said."""
    flat = [one for some in steps for one in (some if isinstance(some, list) else [some])]
    ends = [
        *opened("a", "nmp{1", **(SMALL if size is None else size)),
        *opened("b", "nmp}1", **(SMALL if size is None else size)),
    ]
    return Scenario(f"pipes: {kind}", facts, [*ends, *flat, *closed("a"), *closed("b")])


def _both_ways() -> Scenario:
    return _pipe(
        "frames both ways",
        "9",
        send("a", 0, 3),
        receive("b"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        send("b", 0, 2, 1514),
        receive("a"),
        step("rxsync", fd="a"),
        step("txsync", fd="b"),
    )


def _thousand() -> Scenario:
    return _pipe(
        "a thousand frames",
        "6, 9: a ring of 1024 holds 1023",
        send("a", 0, 1000),
        receive("b"),
        send("a", 1000, 23),
        step("txsync", fd="a"),
        receive("b"),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        size={},
    )


def _wrap() -> Scenario:
    rounds: list[Step] = []
    for turn in range(7):
        rounds += [
            *send("a", turn * 5 % 8, 5, seed=100 * turn),
            *receive("b"),
            step("rxsync", fd="b"),
            step("txsync", fd="a"),
        ]
    return _pipe("wrap-around", "6: seven times five frames through rings of eight", rounds)


def _partial() -> Scenario:
    return _pipe(
        "partial release",
        "6: released slots are seen after the receiver's and then the sender's sync",
        send("a", 0, 7),
        step("rxsync", fd="b"),
        step("advance", ring="b.r0", count=3),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        send("a", 7, 2, seed=50),
        step("rxsync", fd="b"),
        step("advance", ring="b.r0"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
    )


def _full() -> Scenario:
    return _pipe(
        "full",
        "9: back-pressure, poll waits; 8: POLLOUT after release",
        send("a", 0, 7),
        step("txsync", fd="a"),
        step("poll", fd="a", events="o", timeout_ms=30),
        step("rxsync", fd="b"),
        step("advance", ring="b.r0", count=1),
        step("poll", fd="a", events="o", timeout_ms=30),
        step("rxsync", fd="b"),
        step("poll", fd="a", events="o", timeout_ms=30),
    )


def _missing_peer() -> Scenario:
    steps = [
        *opened("a", "nmp{2", **SMALL),
        *send("a", 0, 5),
        *send("a", 5, 2, seed=70),
        step("poll", fd="a", events="o", timeout_ms=20),
        *opened("b", "nmp}2", **SMALL),
        *receive("b"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario("pipes: peer missing", "9: queued", steps)


def _reopen() -> Scenario:
    return _pipe(
        "peer closes and reopens",
        "9: queued frames are still there",
        send("a", 0, 4),
        closed("b"),
        send("a", 4, 1, seed=9),
        opened("b", "nmp}1"),
        receive("b"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
    )


def _sender_leaves() -> Scenario:
    return _pipe(
        "sender closes and reopens",
        "9: what it had sent stays readable",
        send("a", 0, 4),
        closed("a"),
        receive("b"),
        step("rxsync", fd="b"),
        opened("a", "nmp{1"),
        send("a", 4, 1, seed=33),
        receive("b"),
    )


def _trust() -> Scenario:
    wild = [
        [0, 1, 0, 60, 0, 0],
        [1, 1, 1, 60, 0, 0],
        [2, 1, 1000000, 60, 0, 7],
        [3, 1, 0xFFFFFFFF, 65535, 0xFF5E, 1 << 63],
    ]
    return _pipe(
        "trust",
        "7.1: slots arrive as the writer put them, and are given back as the reader left them",
        step("slots", ring="a.t0", runs=wild),
        step("advance", ring="a.t0", count=4),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("look", ring="b.r0", slot=0, count=4),
        step("slots", ring="b.r0", runs=[[0, 4, None, 77, 5, 123]]),
        step("advance", ring="b.r0"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        step("look", ring="a.t0"),
        step("look", ring="b.r0"),
    )


def _lengths() -> Scenario:
    return _pipe(
        "lengths",
        "9: short ones and none at all are delivered, so is a len that lies",
        step("frames", ring="a.t0", slot=0, count=1, length=0),
        step("frames", ring="a.t0", slot=1, count=1, length=1),
        step("frames", ring="a.t0", slot=2, count=1, length=13),
        step("frames", ring="a.t0", slot=3, count=1, length=2048),
        step("slots", ring="a.t0", runs=[[4, 1, None, 3000, 0, 0]]),
        step("advance", ring="a.t0", count=5),
        step("txsync", fd="a"),
        receive("b"),
    )


def _fragments() -> Scenario:
    return _pipe(
        "fragments",
        "9: carried as they are; held back until the last one comes",
        step("frames", ring="a.t0", slot=0, count=2, length=100, flags=0x20),
        step("frames", ring="a.t0", slot=2, count=1, length=50, seed=2),
        step("advance", ring="a.t0", count=3),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("advance", ring="b.r0"),
        step("frames", ring="a.t0", slot=3, count=2, length=64, seed=3, flags=0x20),
        step("advance", ring="a.t0", count=2),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("poll", fd="b", events="i", timeout_ms=20),
        step("frames", ring="a.t0", slot=5, count=1, length=64, seed=5),
        step("advance", ring="a.t0", count=1),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
    )


def _swap(changed: int) -> Scenario:
    steps = [
        *opened("a", "nmq{1", **SMALL),
        *opened("b", "nmq}1", **SMALL),
        *opened("c", "nmq{2", **SMALL),
        *opened("d", "nmq}2", **SMALL),
        *send("a", 0, 3),
        step("rxsync", fd="b"),
        step("slots", ring="c.t0", runs=[[0, 3, "a.t0+0", 60, changed, 0]]),
        step("slots", ring="b.r0", runs=[[0, 3, "c.t0+0", None, changed, None]]),
        step("advance", ring="b.r0", count=3),
        step("advance", ring="c.t0", count=3),
        step("rxsync", fd="b"),
        step("txsync", fd="c"),
        *receive("d"),
        step("rxsync", fd="d"),
        step("txsync", fd="c"),
        step("txsync", fd="a"),
        step("look", ring="a.t0"),
        step("look", ring="c.t0"),
        *[one for fd in "abcd" for one in closed(fd)],
    ]
    how = "with the flag" if changed else "without the flag"
    return Scenario(
        f"pipes: buffers swapped {how}", "7.2: forwarding without a copy between two pipes of one parent", steps
    )


def _shared() -> Scenario:
    return _pipe(
        "two descriptors on one end",
        "5: an interface record each, the same rings",
        opened("c", "nmp{1"),
        step("frames", ring="c.t0", slot=0, count=2, length=60),
        step("advance", ring="c.t0", count=2),
        step("txsync", fd="a"),
        receive("b"),
        closed("c"),
    )


BAD_WORDS: dict[str, tuple[str, dict[str, int], str]] = {
    # kind: ring, words (a ring of 8, 3 frames in, tail at 7 for the sender and 3 for the receiver), the mistake
    "transmit head past the ring": ("a.t0", {"head": 8, "cur": 8}, "head >= num_slots"),
    "transmit head huge": ("a.t0", {"head": 0xFFFFFFFF, "cur": 0}, "head >= num_slots"),
    "transmit cur past the ring": ("a.t0", {"head": 3, "cur": 9}, "cur >= num_slots"),
    "transmit head backwards": ("a.t0", {"head": 1, "cur": 1}, "in range, moved backwards"),
    "transmit cur before head": ("a.t0", {"head": 5, "cur": 4}, "cur before head"),
    "transmit cur past tail": ("a.t0", {"head": 4, "cur": 0}, "cur past tail"),
    "receive head past the ring": ("b.r0", {"head": 8, "cur": 8}, "head >= num_slots"),
    "receive cur past the ring": ("b.r0", {"head": 0, "cur": 100}, "cur >= num_slots"),
    "receive head past tail": ("b.r0", {"head": 5, "cur": 5}, "in range, outside head..tail"),
    "receive cur before head": ("b.r0", {"head": 2, "cur": 1}, "cur before head"),
    "receive cur past tail": ("b.r0", {"head": 0, "cur": 4}, "cur past tail"),
}


def _bad_words(kind: str, way: str) -> Scenario:
    ring, words, mistake = BAD_WORDS[kind]
    fd, transmit = ring[0], ring.endswith("t0")
    sync = step("txsync" if transmit else "rxsync", fd=fd)
    poll = step("poll", fd=fd, events="o" if transmit else "i", timeout_ms=20)
    call = sync if way == "sync" else poll
    return _pipe(
        f"ring error, {kind}, {way}",
        f"6: {mistake}",
        send("a", 0, 3),
        step("rxsync", fd="b"),
        step("words", ring=ring, **words),
        call,
        call,
        step("look", ring=ring),
        sync,
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        poll,
        step("look", ring="a.t0"),
        step("look", ring="b.r0"),
    )


def _bad_tail() -> Scenario:
    return _pipe(
        "the user overwrites tail",
        "6: ignored, put right at the next good sync",
        send("a", 0, 3),
        step("words", ring="a.t0", tail=1),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("words", ring="b.r0", tail=6),
        step("rxsync", fd="b"),
        step("words", ring="b.r0", tail=1000),
        step("poll", fd="b", events="i", timeout_ms=20),
    )


def _reinit_slots() -> Scenario:
    return _pipe(
        "slots at a ring error",
        "6: a bad buf_idx becomes 0 with len 0, a len above the buffer size becomes 0",
        step(
            "slots",
            ring="a.t0",
            runs=[
                [0, 1, 0, 60, 0, 0],
                [1, 1, 1, 60, 0, 0],
                [2, 1, 99999999, 60, 0, 5],
                [3, 1, None, 2049, 0, 5],
                [4, 1, None, 2048, 3, 5],
            ],
        ),
        step("words", ring="a.t0", head=8),
        step("txsync", fd="a"),
        step("look", ring="a.t0"),
    )


def _poll_in() -> Scenario:
    return _pipe(
        "poll for input",
        "8: waits out the timeout; level; does the sync itself and gives slots back",
        step("poll", fd="b", events="i", timeout_ms=30),
        send("a", 0, 2),
        step("poll", fd="b", events="i", timeout_ms=30),
        step("poll", fd="b", events="i", timeout_ms=30),
        step("advance", ring="b.r0", count=1),
        step("poll", fd="b", events="i", timeout_ms=30),
        step("advance", ring="b.r0", count=1),
        step("poll", fd="b", events="i", timeout_ms=30),
        step("txsync", fd="a"),
        step("poll", fd="b", events="o", timeout_ms=30),
        step("poll", fd="b", events="io", timeout_ms=30),
        step("poll", fd="b", events="", timeout_ms=30),
    )


def _poll_cur() -> Scenario:
    return _pipe(
        "poll with cur ahead of head",
        "6, 8: readiness is cur != tail; older frames are kept",
        send("a", 0, 2),
        step("rxsync", fd="b"),
        step("words", ring="b.r0", cur=2),
        step("poll", fd="b", events="i", timeout_ms=30),
        send("a", 2, 1, seed=7),
        step("poll", fd="b", events="i", timeout_ms=30),
        step("words", ring="a.t0", cur=7),
        step("poll", fd="a", events="o", timeout_ms=30),
    )


def _poll_push(flag: int) -> Scenario:
    size = {**SMALL, "flags": flag}
    return _pipe(
        f"poll for input with unsent slots, flags {flag:#x}",
        "8: sends them by default; with 0x20000 only poll for output does",
        step("frames", ring="a.t0", slot=0, count=2, length=60),
        step("advance", ring="a.t0", count=2),
        step("poll", fd="a", events="i", timeout_ms=30),
        step("rxsync", fd="b"),
        step("poll", fd="a", events="o", timeout_ms=30),
        step("rxsync", fd="b"),
        size=size,
    )


def _wake_up(kind: str) -> Scenario:
    if kind == "input":
        steps = [
            step("poll_aside", fd="b", events="i", timeout_ms=5000),
            *send("a", 0, 1),
            step("poll_joined", fd="b", timeout_ms=6000),
        ]
    else:
        steps = [
            *send("a", 0, 7),
            step("rxsync", fd="b"),
            step("poll_aside", fd="a", events="o", timeout_ms=5000),
            step("advance", ring="b.r0", count=2),
            step("rxsync", fd="b"),
            step("poll_joined", fd="a", timeout_ms=6000),
        ]
    steps += [step("look", ring="b.r0"), step("look", ring="a.t0")]
    woken = _pipe(f"a poll for {kind} that sleeps is woken", "8: by the peer's sync", steps)
    woken.loose = ["rings/*"]  # whether the woken poll has run before the step that woke it ends is anybody's guess
    return woken


def _one_direction() -> Scenario:
    steps = [
        *opened("a", "nmp{4", flags=0x4000, **SMALL),
        *opened("b", "nmp}4", flags=0x2000, **SMALL),
        *send("a", 0, 2),
        *receive("b"),
        step("rxsync", fd="a"),
        step("txsync", fd="b"),
        step("poll", fd="a", events="i", timeout_ms=20),
        step("poll", fd="b", events="o", timeout_ms=20),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario("pipes: rings of one direction", "3.3: flags 0x4000 and 0x2000", steps)


def _device() -> Scenario:
    steps = [
        step("open", fd="a"),
        step("world", action="exists", name="nmparent"),
        register("a", "nmparent{1"),
        step("world", action="exists", name="nmparent"),
        step("close", fd="a"),
        step("world", action="exists", name="nmparent"),
    ]
    return Scenario("pipes: a fresh parent is a network device", "4", steps, needs="devices")


def scenarios() -> list[Scenario]:
    return [
        _both_ways(),
        _thousand(),
        _wrap(),
        _partial(),
        _full(),
        _missing_peer(),
        _reopen(),
        _sender_leaves(),
        _trust(),
        _lengths(),
        _fragments(),
        _swap(1),
        _swap(0),
        _shared(),
        *[_bad_words(kind, way) for kind in BAD_WORDS for way in ("sync", "poll")],
        _bad_tail(),
        _reinit_slots(),
        _poll_in(),
        _poll_cur(),
        _poll_push(0),
        _poll_push(0x20000),
        _wake_up("input"),
        _wake_up("output"),
        _one_direction(),
        _device(),
    ]
