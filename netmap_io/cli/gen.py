"""`netmap-io gen`: numbered, checkable frames out of a port."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import click

from ccsds.cli import style
from ccsds.cli.problems import INTERRUPTED, UsageProblem
from netmap_io.cli.port_name import PortName, open_for
from netmap_io.cli.traffic import Flow, LiveRates, Sender, Stop, close_port, duration, port_counters, rate_text
from netmap_io.errors import PortError

if TYPE_CHECKING:
    from netmap_io.burst import Burst
    from netmap_io.cli.numbered_frames import Maker
    from netmap_io.port import Port

__all__ = ["command"]

PATTERNS = ("random", "zeros", "ones", "counting")


class Lengths(click.ParamType[tuple[int, int]]):
    """One length, or the shortest and the longest."""

    name = "length"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        found = re.fullmatch(r"([0-9]{1,8})(?:-([0-9]{1,8}))?", str(value))
        if found is None:
            self.fail(f"{value!r} is no length, as 60, and no range, as 60-1514", param, ctx)
        return int(found[1]), int(found[2] or found[1])


class Mac(click.ParamType[bytes]):
    name = "mac"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", str(value)):
            self.fail(f"{value!r} is no MAC address, as 02:00:00:00:00:02", param, ctx)
        return bytes.fromhex(str(value).replace(":", ""))


@click.command(
    cls=style.Command,
    examples=[
        ("netmap-io gen pcap:numbered.pcapng?mode=write --count 1000", "a capture to test with"),
        ("netmap-io gen packet:eth0 --length 60 --seconds 10", "as fast as it goes"),
        ("netmap-io gen udp:192.0.2.1:5000?mode=connect --length 64-1400 --rate 1000", "a thousand datagrams a second"),
    ],
)
@style.argument("port", type=PortName(), group="Port", metavar="PORT", help="the port to send into")
@style.option("--length", group="Frames", type=Lengths(), default="60", metavar="N|N-M", help="octets of a frame [60]")
@style.option(
    "--pattern", group="Frames", type=click.Choice(PATTERNS), default="random", help="what fills them [random]"
)
@style.option("--seed", group="Frames", type=click.IntRange(0, 2**64 - 1), default=0, help="of pattern and lengths [0]")
@style.option("--udp", group="Frames", type=click.IntRange(0, 65535), metavar="PORT", help="in UDP data to this port")
@style.option("--source-mac", group="Frames", type=Mac(), metavar="MAC", help="Ethernet source [the port's own]")
@style.option("--destination-mac", group="Frames", type=Mac(), metavar="MAC", help="destination [02:00:00:00:00:02]")
@style.option("--rate", group="Pace", type=click.IntRange(1), metavar="N", help="frames per second, at most")
@style.option("--bits", group="Pace", type=click.IntRange(1), metavar="N", help="bits per second, at most")
@style.option(
    "--burst", group="Pace", type=click.IntRange(1, 65536), default=512, metavar="N", help="frames at a time [512]"
)
@style.option(
    "--when-full",
    group="Pace",
    type=click.Choice(["retry", "drop"]),
    default="retry",
    help="what to do with frames that a full port does not take [retry]",
)
@duration
@style.option("--json", "as_json", group="Output", is_flag=True, help="the account as JSON, and only that")
@style.option("--progress/--no-progress", group="Output", default=None, help="rates on standard error [a terminal]")
def command(
    port: str,
    length: tuple[int, int],
    pattern: str,
    seed: int,
    udp: int | None,
    source_mac: bytes | None,
    destination_mac: bytes | None,
    rate: int | None,
    bits: int | None,
    burst: int,
    when_full: str,
    count: int | None,
    seconds: float | None,
    as_json: bool,
    progress: bool | None,
) -> int:
    """Frames with a number and a check in each, out of a port; `netmap-io sink` verifies them.

    Without --count and --seconds it goes on until Ctrl-C.
    """
    with open_for(port, sends=True) as opened:
        maker = _maker(opened, length, pattern, seed, udp, source_mac, destination_mac)
        stop, flow = Stop(count, seconds), Flow()
        limits = _Pace(opened, rate, bits)
        sender = Sender(limits.port, flow, retry=when_full == "retry", stop=stop)
        whole = True
        problem: Exception | None = None
        try:
            whole = _run(maker, sender, limits, burst, LiveRates("netmap-io gen", progress))
        except (PortError, OSError) as error:
            problem = error  # the account comes first
            flow.failed = flow.received_frames - flow.sent_frames - flow.dropped
        elapsed_s = stop.elapsed_s
        drops = port_counters(opened)
        closing = close_port(opened)
        problem = problem or closing
    document = {"seconds": elapsed_s, "port": port, "seed": seed, **_counts(flow), "counters": drops}
    document["problem"] = None if problem is None else str(problem)
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _report(flow, drops, elapsed_s, whole)
    if problem is not None:
        raise problem
    return 0 if whole else INTERRUPTED


def _maker(
    port: Port,
    length: tuple[int, int],
    pattern: str,
    seed: int,
    udp: int | None,
    source_mac: bytes | None,
    destination_mac: bytes | None,
) -> Maker:
    """What makes frames that fit the port.  Raises UsageProblem."""
    from netmap_io.cli.numbered_frames import Maker
    from netmap_io.port import LinkType

    capabilities = port.capabilities
    if length[1] > capabilities.maximum_frame_octets:
        longest = capabilities.maximum_frame_octets
        raise UsageProblem(f"--length: this port carries frames of at most {longest} octets, not {length[1]}")
    try:
        return Maker(
            shortest=length[0],
            longest=length[1],
            ethernet=capabilities.link_type is LinkType.ETHERNET,
            pattern=pattern,
            seed=seed,
            udp_port=udp,
            source_mac=source_mac or capabilities.mac or bytes.fromhex("020000000001"),
            destination_mac=destination_mac or bytes.fromhex("020000000002"),
        )
    except ValueError as error:
        raise UsageProblem(str(error)) from None


def _report(flow: Flow, drops: dict[str, int | None], elapsed_s: float, whole: bool) -> None:
    begin = "" if whole else "interrupted after "
    rates = rate_text(flow.sent_frames, flow.sent_octets, elapsed_s)
    click.echo(f"{begin}{flow.sent_frames:,} frames, {flow.sent_octets:,} octets in {elapsed_s:.2f} s ({rates})")
    lost = {"no room": flow.no_room, "not sent when stopped": flow.given_up, "not sent": flow.failed}
    for name in ("dropped_by_port", "dropped_by_ring", "dropped_by_kernel"):
        lost[name.replace("_", " ")] = drops[name] or 0
    for text, number in lost.items():
        if number:
            click.echo(f"{text}: {number:,} frames")


def _counts(flow: Flow) -> dict[str, int]:
    """The flow by name; what a pump receives is made here."""
    return {name.replace("received", "made"): number for name, number in flow.to_dict().items()}


class _Pace:
    """The port, with a limiter around it where there is a rate to keep."""

    def __init__(self, port: Port, rate: int | None, bits: int | None) -> None:
        from netmap_io.wrappers.rate_limiter import RateLimit, RateLimiter

        self.limited = rate is not None or bits is not None
        self._limiter = RateLimiter(port, send=RateLimit(frames_per_second=rate, bits_per_second=bits))
        self.port: Port = self._limiter if self.limited else port

    def pause_s(self, burst: Burst) -> float:
        return self._limiter.send_wait_s(int(burst.lengths[0])) if self.limited else 0.0


def _run(maker: Maker, sender: Sender, pace: _Pace, at_once: int, rates: LiveRates) -> bool:
    """Send until there is enough; False: interrupted."""
    stop, flow = sender.stop, sender.flow
    whole = True
    try:
        while not stop():
            count = stop.left(flow.received_frames, at_once)
            if not count:
                break
            burst = maker.make(count)
            flow.received_frames += count
            flow.received_octets += burst.octets
            sender.send(burst, pace.pause_s)
            rates.tick(flow.sent_frames, flow.sent_octets)
    except KeyboardInterrupt:
        whole = False
        flow.given_up = flow.received_frames - flow.sent_frames - flow.no_room - flow.too_long
    rates.end()
    pace.port.flush()
    return whole
