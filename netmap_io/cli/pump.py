"""`netmap-io pump`: frames from one port to another, one way or both."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from ccsds.cli import style
from ccsds.cli.problems import INTERRUPTED
from netmap_io.cli.port_name import PortName, open_for
from netmap_io.cli.traffic import (
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    Flow,
    LiveRates,
    Sender,
    Stop,
    close_port,
    duration,
    port_counters,
    rate_text,
)

if TYPE_CHECKING:
    from netmap_io.port import Port

__all__ = ["command"]

_JOIN_S = 0.05


@click.command(
    cls=style.Command,
    examples=[
        ("netmap-io pump pcap:in.pcapng pcap:out.pcapng?mode=write", "a capture written anew"),
        ("netmap-io pump fault+pcap:in.pcapng?loss=0.01 memory:?link_type=ethernet", "what a bad link would leave"),
        ("netmap-io pump packet:eth0 packet:eth1 --both", "a bridge with an account"),
        ("netmap-io pump netmap:eth0 netmap:eth1 --both", "the same, by swapping buffers"),
    ],
)
@style.argument("a", type=PortName(), group="Ports", metavar="A", help="the port that frames come from")
@style.argument("b", type=PortName(), group="Ports", metavar="B", help="the port that they go to")
@style.option("--both", group="Ports", is_flag=True, help="from B to A as well")
@style.option(
    "--when-full",
    group="Ports",
    type=click.Choice(["retry", "drop"]),
    default="retry",
    show_default=True,
    help="what to do with frames that a full port does not take",
)
@style.option("--burst", group="Ports", type=click.IntRange(1, 65536), default=1024, help="frames at a time [1024]")
@duration
@style.option("--json", "as_json", group="Output", is_flag=True, help="the account as JSON, and only that")
@style.option("--progress/--no-progress", group="Output", default=None, help="rates on standard error [a terminal]")
def command(
    a: str,
    b: str,
    both: bool,
    when_full: str,
    burst: int,
    count: int | None,
    seconds: float | None,
    as_json: bool,
    progress: bool | None,
) -> int:
    """Frames from one port to another, and an account of every one of them.

    Between two netmap ports they go from ring to ring, in one memory region without a copy (not with --when-full drop).

    Ends when A has no more, after --count frames each way or --seconds, or by Ctrl-C; the account is always printed.
    """
    with open_for(a, receives=True, sends=both) as port_a, open_for(b, receives=both, sends=True) as port_b:
        from netmap_io.port import require_link_type

        require_link_type(port_b, port_a.capabilities.link_type)
        stop = Stop(count, seconds)
        ways = [Way(port_a, port_b, stop, when_full == "retry", burst)]
        if both:
            ways.append(Way(port_b, port_a, stop, when_full == "retry", burst))
        whole = run(ways, stop, LiveRates("netmap-io pump", progress))
        elapsed_s = stop.elapsed_s
        problems = [way.problem for way in ways if way.problem is not None]
        names = [(a, b), (b, a)]
        document: dict[str, Any] = {
            "seconds": elapsed_s,
            "ways": [{"from": x, "to": y, **w.flow.to_dict()} for (x, y), w in zip(names, ways, strict=False)],
            "ports": {"A": {"address": a, **port_counters(port_a)}, "B": {"address": b, **port_counters(port_b)}},
        }
        problems += filter(None, [close_port(port_b), close_port(port_a)])
        document["problem"] = str(problems[0]) if problems else None
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        report(document, whole)
    if problems:
        raise problems[0]
    return 0 if whole else INTERRUPTED


class Way:
    """One direction: receives here, sends there."""

    def __init__(self, source: Port, target: Port, stop: Stop, retry: bool, burst: int) -> None:
        self.source, self.target, self.stop, self.burst = source, target, stop, burst
        self.flow = Flow()
        self.problem: Exception | None = None
        self._sender = Sender(target, self.flow, retry=retry, stop=stop)
        self._ring_to_ring = retry and _are_rings(source, target)
        self._pause_s = SHORTEST_PAUSE_S

    def step(self) -> bool:
        """Move one burst; whether there may be another."""
        flow = self.flow
        wanted = self.stop.left(flow.received_frames, self.burst)
        if not wanted or self.stop():
            return False
        if self._ring_to_ring:
            self._forward(wanted)
            return True
        burst = self.source.receive(wanted, self.stop.wait_s)
        flow.received_frames += len(burst)
        flow.received_octets += burst.octets
        self._sender.send(burst)
        return len(burst) > 0 or not self.source.exhausted

    def _forward(self, wanted: int) -> None:
        """From ring to ring; what the target has no room for stays in the source's ring."""
        from netmap_io.drivers.netmap import forward

        done = forward(self.source, self.target, wanted, self.stop.wait_s)
        flow = self.flow
        flow.received_frames += done.frames + done.refused
        flow.received_octets += done.octets + done.refused_octets
        flow.sent_frames += done.frames
        flow.sent_octets += done.octets
        flow.too_long += done.refused
        if done.full:
            flow.retries += 1
            self._pause_s = SHORTEST_PAUSE_S if done.frames else min(2 * self._pause_s, LONGEST_PAUSE_S)
            time.sleep(self._pause_s)

    def run(self) -> None:
        """All of it, in a thread of its own; what goes wrong is kept and stops the other way too."""
        try:
            while self.step():
                pass
            self.target.flush()
        except Exception as error:  # noqa: BLE001 (raised again by the main thread, after the account)
            self.problem = error
            self.flow.failed = self.flow.received_frames - self.flow.sent_frames - self.flow.dropped
            self.stop.now()


def _are_rings(*ports: Port) -> bool:
    from netmap_io.drivers.rings import RingPort

    if not all(isinstance(port, RingPort) for port in ports):
        return False
    from netmap_io.drivers.netmap import NetmapPort

    return all(isinstance(port, NetmapPort) for port in ports)


def run(ways: list[Way], stop: Stop, rates: LiveRates) -> bool:
    """Run all ways to their end, or to the first problem of one; False: interrupted."""
    whole = True
    others = [threading.Thread(target=way.run) for way in ways]
    for thread in others:
        thread.start()
    while any(thread.is_alive() for thread in others):
        try:
            for thread in others:
                thread.join(_JOIN_S)
            flows = [way.flow for way in ways]
            dropped = sum(flow.dropped for flow in flows)
            remark = f", {dropped:,} dropped" if dropped else ""
            rates.tick(sum(flow.sent_frames for flow in flows), sum(flow.sent_octets for flow in flows), remark)
        except KeyboardInterrupt:
            whole = False
            stop.now()
    rates.end()
    return whole


def report(document: dict[str, Any], whole: bool) -> None:
    """Frames, octets, and drops by whom."""
    console = style.console()
    for way in document["ways"]:
        console.print(f"{way['from']} -> {way['to']}")
        table = _table()
        table.add_row("received", style.count(way["received_frames"]), style.count(way["received_octets"]))
        table.add_row("sent", style.count(way["sent_frames"]), style.count(way["sent_octets"]))
        for name, text in (
            ("no_room", "dropped: no room"),
            ("too_long", "dropped: too long"),
            ("given_up", "not sent when stopped"),
            ("failed", "not sent: the port failed"),
        ):
            if way[name]:
                table.add_row(text, style.count(way[name], style="bold red"), "")
        console.print(table)
    for letter, port in document["ports"].items():
        drops = [
            f"{port[f'dropped_by_{whom}']:,} by the {whom}"
            for whom in ("port", "ring", "kernel")
            if port[f"dropped_by_{whom}"]
        ]
        untold = [whom for whom in ("ring", "kernel") if port[f"dropped_by_{whom}"] is None]
        told = f" (the {' and '.join(untold)} do{'es' * (len(untold) == 1)} not tell)" if untold else ""
        console.print(f"port {letter} dropped {', '.join(drops) or 'nothing'}{told}")
    frames = sum(way["sent_frames"] for way in document["ways"])
    octets = sum(way["sent_octets"] for way in document["ways"])
    seconds = document["seconds"]
    begin = "" if whole else "interrupted after "
    console.print(
        f"{begin}{frames:,} frames, {octets:,} octets in {seconds:.2f} s ({rate_text(frames, octets, seconds)})"
    )


def _table() -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=True, header_style="")
    for number, head in enumerate(("", "frames", "octets")):
        table.add_column(head, justify="right" if number else "left", no_wrap=True, min_width=12 if number else 24)
    return table
