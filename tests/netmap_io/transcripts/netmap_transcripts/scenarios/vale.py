"""The VALE switch: learning, flooding, drops, fragments, indirect data, control requests (facts 3.4, 6, 9, 13)."""

from __future__ import annotations

from typing import Any

from ..transcript import Scenario
from .steps import Step, closed, opened, receive, send, step

A, B, C = "020000000001", "020000000002", "020000000003"
SMALL: dict[str, Any] = {"tx_slots": 16, "rx_slots": 16}


def _switch(
    kind: str, facts: str, *steps: Step | list[Step], ports: str = "abc", size: dict[str, Any] | None = None
) -> Scenario:
    """Ports a, b, c of one switch; small rings unless said."""
    flat = [one for some in steps for one in (some if isinstance(some, list) else [some])]
    opening = [one for fd in ports for one in opened(fd, f"valeT:{fd}", **(SMALL if size is None else size))]
    closing = [one for fd in ports for one in closed(fd)]
    return Scenario(f"vale: {kind}", facts, [*opening, *flat, *closing])


def _flooded() -> Scenario:
    return _switch(
        "flooding",
        "9: unknown destinations and broadcasts go to all but the sender",
        send("a", 0, 3),
        send("a", 3, 2, 1514, destination=B, seed=9),
        receive("b"),
        receive("c"),
        receive("a"),
    )


def _learnt() -> Scenario:
    return _switch(
        "learning",
        "9: sources are learnt, then frames go to their port only",
        send("b", 0, 1, source=B, seed=1),
        receive("a"),
        receive("c"),
        send("a", 0, 4, destination=B, source=A, seed=10),
        receive("b"),
        step("rxsync", fd="c"),
        send("b", 1, 2, destination=A, source=B, seed=20),
        receive("a"),
        step("rxsync", fd="c"),
    )


def _moved() -> Scenario:
    return _switch(
        "an address that moves",
        "9: the last port a source was seen on",
        send("b", 0, 1, source=B),
        send("a", 0, 1, destination=B, source=A, seed=1),
        receive("b"),
        send("c", 0, 1, destination=A, source=B, seed=2),
        send("a", 1, 1, destination=B, source=A, seed=3),
        receive("b"),
        receive("c"),
        receive("a"),
    )


def _own_address() -> Scenario:
    return _switch(
        "to one's own address",
        "9: dropped",
        send("a", 0, 1, source=A),
        receive("b"),
        send("a", 1, 2, destination=A, source=A, seed=4),
        step("rxsync", fd="a"),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
    )


def _multicast_source() -> Scenario:
    group = "010000000009"
    return _switch(
        "a group address as source",
        "9: learning",
        send("b", 0, 1, source=group),
        receive("a"),
        receive("c"),
        send("a", 0, 1, destination=group, source=A, seed=4),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
    )


def _learnt_in_one_sync() -> Scenario:
    return _switch(
        "learning within one sync",
        "9",
        step("frames", ring="a.t0", slot=0, count=1, length=60, destination=B, source=A),
        step("frames", ring="a.t0", slot=1, count=1, length=60, destination=A, source=B, seed=1),
        step("frames", ring="a.t0", slot=2, count=1, length=60, destination=B, source=A, seed=2),
        step("frames", ring="a.t0", slot=3, count=1, length=60, destination=C, source=A, seed=3),
        step("advance", ring="a.t0", count=4),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
        step("rxsync", fd="a"),
    )


def _slow_receiver() -> Scenario:
    rounds = [one for turn in range(3) for one in send("a", turn * 10 % 16, 10, seed=turn * 100)]
    return _switch(
        "a receiver that is slow",
        "9: frames are dropped silently, the sender sees success",
        rounds,
        receive("b"),
        send("a", 14, 2, seed=500),
        receive("b"),
        step("rxsync", fd="b"),
        send("a", 0, 2, seed=600),
        receive("b"),
        ports="ab",
    )


def _fast_to_one_slow_to_other() -> Scenario:
    rounds = [one for turn in range(3) for one in [*send("a", turn * 7 % 16, 7, seed=turn * 100), *receive("b")]]
    return _switch("one slow receiver of two", "9: drops at the slow one only", rounds, receive("c"))


def _many() -> Scenario:
    return _switch(
        "a thousand frames",
        "9",
        send("a", 0, 1000, source=A),
        receive("b"),
        send("a", 1000, 1000, 1514, source=A, seed=5000),
        receive("b"),
        ports="ab",
        size={},
    )


def _short() -> Scenario:
    return _switch(
        "lengths",
        "9: under 14 octets dropped, 14 to 59 as they are, a len above the buffer dropped",
        *[
            step("frames", ring="a.t0", slot=i, count=1, length=n, seed=i)
            for i, n in enumerate((0, 1, 13, 14, 15, 59, 60, 2048))
        ],
        step("slots", ring="a.t0", runs=[[8, 1, None, 2049, 0, 0], [9, 1, None, 65535, 0, 0]]),
        step("frames", ring="a.t0", slot=10, count=1, length=61, seed=99),
        step("advance", ring="a.t0", count=11),
        step("txsync", fd="a"),
        step("look", ring="a.t0"),
        receive("b"),
        ports="ab",
    )


def _bad_index(index: int) -> Scenario:
    return _switch(
        f"buffer index {index:#x} on transmit",
        "7.1",
        step("frames", ring="a.t0", slot=0, count=3, length=60),
        step("slots", ring="a.t0", runs=[[1, 1, index, None, None, None]]),
        step("advance", ring="a.t0", count=3),
        step("txsync", fd="a"),
        step("look", ring="a.t0", slot=0, count=3),
        step("rxsync", fd="b"),
        ports="ab",
    )


def _fragments() -> Scenario:
    return _switch(
        "fragments",
        "3.4, 9: carried, their number in the high octet of every slot received",
        step("frames", ring="a.t0", slot=0, count=1, length=60, seed=1),
        step("frames", ring="a.t0", slot=1, count=2, length=2048, seed=2, flags=0x20),
        step("frames", ring="a.t0", slot=3, count=1, length=100, seed=4),
        step("frames", ring="a.t0", slot=4, count=1, length=60, seed=5),
        step("advance", ring="a.t0", count=5),
        step("txsync", fd="a"),
        receive("b"),
        receive("c"),
    )


def _many_fragments(count: int) -> Scenario:
    return _switch(
        f"a frame of {count} fragments",
        "9: up to 70 tried",
        step("frames", ring="a.t0", slot=0, count=count - 1, length=64, flags=0x20),
        step("frames", ring="a.t0", slot=count - 1, count=1, length=64, seed=900),
        step("frames", ring="a.t0", slot=count, count=1, length=60, seed=901),
        step("advance", ring="a.t0", count=count + 1),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        ports="ab",
        size={"tx_slots": 256, "rx_slots": 256},
    )


def _incomplete() -> Scenario:
    return _switch(
        "an incomplete frame",
        "9: cut short and delivered as complete",
        step("frames", ring="a.t0", slot=0, count=2, length=100, flags=0x20),
        step("advance", ring="a.t0", count=2),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        step("frames", ring="a.t0", slot=2, count=1, length=100, seed=2),
        step("advance", ring="a.t0", count=1),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        ports="ab",
    )


def _fragments_do_not_fit() -> Scenario:
    return _switch(
        "a frame of fragments that does not fit",
        "9",
        send("a", 0, 13),
        step("frames", ring="a.t0", slot=13, count=2, length=100, seed=50, flags=0x20),
        step("frames", ring="a.t0", slot=15, count=1, length=100, seed=52),
        step("advance", ring="a.t0", count=3),
        step("txsync", fd="a"),
        send("a", 0, 1, seed=60),
        step("rxsync", fd="b"),
        ports="ab",
    )


def _forced_port() -> Scenario:
    return _switch(
        "a port number in the slot's flags",
        "3.4: documented as a forced destination, ignored by this module",
        send("a", 0, 1, flags=0x0200),
        send("a", 1, 1, flags=0x0100, seed=1),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
    )


def _indirect() -> Scenario:
    return _switch(
        "indirect data",
        "3.4, 9: works; with a bad address the frame is lost",
        step("indirect", ring="a.t0", slot=0, length=200, seed=5),
        step("frames", ring="a.t0", slot=1, count=2, length=60, seed=6),
        step("slots", ring="a.t0", runs=[[1, 1, None, 60, 0x10, 8]]),
        step("advance", ring="a.t0", count=3),
        step("txsync", fd="a"),
        step("rxsync", fd="b"),
        ports="ab",
    )


def _flags_given() -> Scenario:
    return _switch(
        "flags on transmit",
        "3.4",
        *[one for i, flag in enumerate((1, 2, 4, 8, 0x40, 0x80)) for one in send("a", i, 1, seed=i, flags=flag)],
        step("look", ring="a.t0"),
        step("rxsync", fd="b"),
        ports="ab",
    )


def _alone() -> Scenario:
    return _switch(
        "alone",
        "9: peer missing: dropped, success",
        send("a", 0, 15),
        send("a", 15, 15, seed=50),
        step("poll", fd="a", events="o", timeout_ms=20),
        step("rxsync", fd="a"),
        ports="a",
    )


def _leaves() -> Scenario:
    return _switch(
        "a port that leaves and returns",
        "9: its queue and what the switch had learnt of it are gone",
        send("b", 0, 1, source=B),
        send("a", 0, 3, destination=B),
        closed("b"),
        send("a", 3, 2, destination=B, seed=10),
        opened("b", "valeT:b", **SMALL),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
        send("a", 5, 1, destination=B, seed=20),
        step("rxsync", fd="b"),
        step("rxsync", fd="c"),
    )


def _poll() -> Scenario:
    return _switch(
        "poll",
        "8",
        step("poll", fd="b", events="i", timeout_ms=20),
        step("frames", ring="a.t0", slot=0, count=2, length=60),
        step("advance", ring="a.t0", count=2),
        step("poll", fd="a", events="i", timeout_ms=20),
        step("poll", fd="b", events="i", timeout_ms=20),
        step("poll", fd="b", events="i", timeout_ms=20),
        step("advance", ring="b.r0"),
        step("poll", fd="b", events="io", timeout_ms=20),
        step("frames", ring="a.t0", slot=2, count=13, length=60, seed=7),
        step("advance", ring="a.t0", count=13),
        step("poll", fd="a", events="o", timeout_ms=20),
        step("poll", fd="b", events="i", timeout_ms=20),
        ports="ab",
    )


def _wake_up() -> Scenario:
    woken = _switch(
        "a poll for input that sleeps is woken",
        "8: by the sender's sync",
        step("poll_aside", fd="b", events="i", timeout_ms=5000),
        send("a", 0, 1),
        step("poll_joined", fd="b", timeout_ms=6000),
        step("look", ring="b.r0"),
        ports="ab",
    )
    woken.loose = ["rings/*"]
    return woken


def _ring_error(fd: str, words: dict[str, int], kind: str) -> Scenario:
    ring, call = f"{fd}.{'t' if fd == 'a' else 'r'}0", "txsync" if fd == "a" else "rxsync"
    return _switch(
        f"ring error, {kind}",
        "6",
        send("a", 0, 3),
        step("rxsync", fd="b"),
        step("words", ring=ring, **words),
        step(call, fd=fd),
        step("poll", fd=fd, events="o" if fd == "a" else "i", timeout_ms=20),
        step("look", ring=ring, count=0),
        step(call, fd=fd),
        send("a", 3, 2, seed=70),
        step("rxsync", fd="b"),
        ports="ab",
    )


RING_ERRORS: tuple[tuple[str, dict[str, int], str], ...] = (
    ("a", {"head": 16, "cur": 16}, "transmit head past the ring"),
    ("a", {"head": 1, "cur": 1}, "transmit head backwards"),
    ("a", {"head": 5, "cur": 4}, "transmit cur before head"),
    ("b", {"head": 16, "cur": 16}, "receive head past the ring"),
    ("b", {"head": 9, "cur": 9}, "receive head past tail"),
    ("b", {"head": 0, "cur": 5}, "receive cur past tail"),
)


def _rings(count: int) -> Scenario:
    size = {**SMALL, "tx_rings": count, "rx_rings": count}
    rings = range(count)
    flooded = [one for ring in rings for one in send("a", 0, 2, ring=f"t{ring}", seed=ring * 10)]
    learnt = [one for ring in rings for one in send("a", 2, 1, ring=f"t{ring}", destination=B, seed=100 + ring)]
    return _switch(
        f"{count} rings",
        "5, 9: flooded frames go to ring 0, others to the ring of the sender's number",
        flooded,
        step("rxsync", fd="b"),
        send("b", 0, 1, ring=f"t{count - 1}", source=B),
        learnt,
        step("rxsync", fd="b"),
        ports="ab",
        size=size,
    )


def _fewer_rings() -> Scenario:
    few, many = {**SMALL, "tx_rings": 2, "rx_rings": 2}, {**SMALL, "tx_rings": 3, "rx_rings": 3}
    steps = [
        *opened("a", "valeT:a", **many),
        *opened("b", "valeT:b", **few),
        *send("b", 0, 1, source=B),
        *[one for ring in range(3) for one in send("a", 0, 1, ring=f"t{ring}", destination=B, seed=ring)],
        step("rxsync", fd="b"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario("vale: three rings to two", "9: which ring a frame goes to", steps)


def scenarios() -> list[Scenario]:
    return [
        _flooded(),
        _learnt(),
        _moved(),
        _own_address(),
        _multicast_source(),
        _learnt_in_one_sync(),
        _slow_receiver(),
        _fast_to_one_slow_to_other(),
        _many(),
        _short(),
        _bad_index(0),
        _bad_index(1),
        _bad_index(0xFFFFFFFF),
        _fragments(),
        _many_fragments(64),
        _many_fragments(70),
        _incomplete(),
        _fragments_do_not_fit(),
        _forced_port(),
        _indirect(),
        _flags_given(),
        _alone(),
        _leaves(),
        _poll(),
        _wake_up(),
        *[_ring_error(fd, words, kind) for fd, words, kind in RING_ERRORS],
        _rings(2),
        _rings(4),
        _fewer_rings(),
    ]
