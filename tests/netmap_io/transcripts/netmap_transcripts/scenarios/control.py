"""VALE control requests and questions about ports (facts 2.6, 13)."""

from __future__ import annotations

from ..transcript import Scenario
from .steps import Step, closed, opened, register, send, step

SMALL = {"tx_slots": 16, "rx_slots": 16}


def _ask(request: str, name: str = "", **body: int | str) -> Step:
    return step("control", fd="z", request=request, name=name, body=dict(body))


def _asked(kind: str, facts: str, *steps: Step | list[Step], needs: str = "virtual") -> Scenario:
    flat = [one for some in steps for one in (some if isinstance(some, list) else [some])]
    return Scenario(f"control: {kind}", facts, [step("open", fd="z"), *flat, step("close", fd="z")], needs=needs)


def _list() -> Scenario:
    return _asked(
        "list",
        "13: names by index, indexes by name, ENOENT past the end",
        _ask("VALE_LIST"),
        opened("a", "valeL:a"),
        opened("b", "valeL:b"),
        opened("c", "valeM:c"),
        *[
            _ask("VALE_LIST", bridge_idx=bridge, port_idx=port)
            for bridge, port in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0), (7, 0), (8, 0), (99, 0))
        ],
        *[_ask("VALE_LIST", name) for name in ("valeL:b", "valeM:c", "valeL:none", "valeN:a", "valeL:")],
        closed("a"),
        _ask("VALE_LIST", bridge_idx=0, port_idx=0),
        closed("b"),
        closed("c"),
        _ask("VALE_LIST"),
    )


def _persistent() -> Scenario:
    return _asked(
        "persistent ports",
        "13: a network device; again EEXIST, ENXIO",
        _ask("VALE_NEWIF", "nmkeep0"),
        step("world", action="exists", name="nmkeep0"),
        _ask("VALE_NEWIF", "nmkeep0"),
        _ask("PORT_INFO_GET", "nmkeep0"),
        _ask("VALE_NEWIF", "nmkeep1", tx_slots=64, rx_slots=100, tx_rings=2, rx_rings=3),
        _ask("PORT_INFO_GET", "nmkeep1"),
        _ask("VALE_DELIF", "nmkeep0"),
        _ask("VALE_DELIF", "nmkeep0"),
        _ask("VALE_DELIF", "nmkeep1"),
        _ask("VALE_NEWIF", "valeP:x"),
        step("world", action="exists", name="nmkeep0"),
        needs="devices",
    )


def _attach_persistent() -> Scenario:
    # Not recorded: registering a persistent port while it is attached.  The module allows it and never lets go again.
    return _asked(
        "attaching a persistent port",
        "13: busy while attached, frames cross the switch",
        opened("a", "valeQ:a", **SMALL),
        _ask("VALE_NEWIF", "nmkeep2"),
        _ask("VALE_ATTACH", "valeQ:nmkeep2", mode=1),
        _ask("VALE_ATTACH", "valeQ:nmkeep2", mode=1),
        _ask("VALE_LIST", bridge_idx=0, port_idx=1),
        _ask("VALE_LIST", "valeQ:nmkeep2"),
        _ask("VALE_DELIF", "nmkeep2"),
        send("a", 0, 2),
        _ask("VALE_DETACH", "valeQ:nmkeep2"),
        _ask("VALE_DETACH", "valeQ:nmkeep2"),
        _ask("VALE_DETACH", "valeQ:none"),
        _ask("VALE_ATTACH", "valeQ:none0", mode=1),
        _ask("VALE_DELIF", "nmkeep2"),
        closed("a"),
        needs="devices",
    )


def _header_length() -> Scenario:
    lengths = (0, 10, 12, 1, 11, 13, 96)
    return _asked(
        "length of the virtio-net header",
        "10, 13: 0, 10, 12; then registering takes a flag",
        opened("a", "valeH:a", flags=0x8000),
        *[
            one
            for length in lengths
            for one in (_ask("PORT_HDR_SET", "valeH:a", hdr_len=length), _ask("PORT_HDR_GET", "valeH:a"))
        ],
        _ask("PORT_HDR_SET", "valeH:a", hdr_len=12),
        step("open", fd="b"),
        register("b", "valeH:a"),
        register("b", "valeH:a", flags=0x8000),
        step("close", fd="b"),
        _ask("PORT_HDR_GET", "valeH:none"),
        _ask("PORT_HDR_SET", "nodevice0", hdr_len=10),
        closed("a"),
    )


def _information() -> Scenario:
    return _asked(
        "information",
        "13: of a port not yet there: defaults; with an empty name: the region",
        _ask("PORT_INFO_GET", "valeI:none"),
        _ask("PORT_INFO_GET", "valeI:none"),
        _ask("PORT_INFO_GET"),
        _ask("PORT_INFO_GET", mem_id=1),
        _ask("PORT_INFO_GET", mem_id=99),
        _ask("PORT_INFO_GET", "nodevice0"),
        _ask("POOLS_INFO_GET"),
        _ask("POOLS_INFO_GET", mem_id=1),
        _ask("POOLS_INFO_GET", mem_id=99),
        _ask("POOLS_INFO_GET", "valeI:none"),
        opened("a", "valeI:a"),
        _ask("POOLS_INFO_GET", mem_id="a"),
        _ask("POOLS_INFO_GET", "valeI:a"),
        _ask("PORT_INFO_GET", "valeI:a"),
        _ask("PORT_INFO_GET", mem_id="a"),
        closed("a"),
    )


def _eight_switches() -> Scenario:
    opening = [one for i in range(9) for one in (step("open", fd=f"s{i}"), register(f"s{i}", f"vale{i}x:p"))]
    return Scenario(
        "control: nine switches", "4: at most 8", [*opening, *[step("close", fd=f"s{i}") for i in range(9)]]
    )


def _monitor(flags: int, way: str) -> Scenario:
    steps = [
        *opened("a", "valeW:a", **SMALL),
        *opened("b", "valeW:b", **SMALL),
        *opened("m", "valeW:a", flags=flags),
        *send("a", 0, 3),
        step("rxsync", fd="m"),
        step("rxsync", fd="b"),
        *send("b", 0, 2, source="020000000002", seed=40),
        step("rxsync", fd="a"),
        step("rxsync", fd="m"),
        step("txsync", fd="m"),
        step("poll", fd="m", events="i", timeout_ms=20),
        *closed("m"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario(f"control: a monitor of a VALE port, {way}", "3.3, 9", steps)


def _monitor_pipe(flags: int, way: str) -> Scenario:
    steps = [
        *opened("a", "nmm{1", **SMALL),
        *opened("b", "nmm}1", **SMALL),
        *opened("m", "nmm{1", flags=flags),
        *send("a", 0, 3),
        step("rxsync", fd="m"),
        step("rxsync", fd="b"),
        step("advance", ring="b.r0"),
        step("rxsync", fd="b"),
        step("txsync", fd="a"),
        step("rxsync", fd="m"),
        *send("b", 0, 2, seed=40),
        step("rxsync", fd="a"),
        step("rxsync", fd="m"),
        step("poll", fd="m", events="i", timeout_ms=20),
        *closed("m"),
        *closed("a"),
        *closed("b"),
    ]
    return Scenario(f"control: a monitor of a pipe, {way}", "3.3, 9", steps)


MONITORS = ((0x100, "transmit"), (0x200, "receive"), (0x300, "both"))


def scenarios() -> list[Scenario]:
    return [
        _list(),
        _persistent(),
        _attach_persistent(),
        _header_length(),
        _information(),
        _eight_switches(),
        *[_monitor(flags, way) for flags, way in MONITORS],
        *[_monitor_pipe(flags, way) for flags, way in MONITORS],
        _monitor_pipe(0x700, "both, without a copy"),
    ]
