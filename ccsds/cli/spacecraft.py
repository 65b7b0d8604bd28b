"""`ccsds spacecraft`: a small spacecraft that takes CLTUs and answers with frames, over any port."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from ccsds.cli import style
from ccsds.cli.link_ports import DOWNLINK_PORT, UPLINK_PORT, Clock, Outlet, closing, receiving_port, sending_port
from ccsds.cli.mission_name import MissionName

if TYPE_CHECKING:
    from rich.table import Table

    from ccsds.testing.spacecraft import ReceivedCommand, Spacecraft
    from netmap_io.port import Port

__all__ = ["command"]

STATUS_NS: Final = 1_000_000_000


@click.command(
    cls=style.Command,
    examples=[
        ("ccsds spacecraft", "then, in another terminal: ccsds command --text hello"),
        ("ccsds spacecraft --loss 0.2 --bit-errors 1e-4 --delay 300 --seed 7", "a bad link, both ways"),
        ("ccsds spacecraft --downlink demo-downlink-uslp --rate 50", "answers with USLP frames"),
        ("ccsds spacecraft --listen udp:0.0.0.0:7000 --send udp:10.0.0.2:7001?mode=connect", "to another machine"),
    ],
    exit_codes=(0, 1, 2, 3, 130),
)
@style.option("--uplink", group="Link", type=MissionName(), default="demo-uplink", show_default=True, help="profile")
@style.option(
    "--downlink", group="Link", type=MissionName(), default="demo-downlink", show_default=True, help="profile"
)
@style.option("--listen", group="Link", default=UPLINK_PORT, show_default=True, metavar="PORT", help="CLTUs come here")
@style.option("--send", group="Link", default=DOWNLINK_PORT, show_default=True, metavar="PORT", help="frames go there")
@style.option(
    "--rate", group="Link", type=click.FloatRange(0.1, 10_000), default=10.0, show_default=True, help="frames a second"
)
@style.option("--loss", group="Faults", type=click.FloatRange(0, 1), default=0.0, help="of datagrams, either way")
@style.option("--bit-errors", group="Faults", type=click.FloatRange(0, 1), default=0.0, help="per bit, either way")
@style.option("--delay", group="Faults", type=click.FloatRange(0, 3.6e6), default=0.0, help="milliseconds, either way")
@style.option("--seed", group="Faults", type=click.IntRange(0), default=1, show_default=True, help="of the faults")
@style.option("--for", "seconds", group="Output", type=click.FloatRange(0), help="end after these seconds [Ctrl-C]")
@style.option("--json", "as_json", group="Output", is_flag=True, help="a line of JSON per command, and each second")
def command(
    uplink: str,
    downlink: str,
    listen: str,
    send: str,
    rate: float,
    loss: float,
    bit_errors: float,
    delay: float,
    seed: int,
    seconds: float | None,
    as_json: bool,
) -> None:
    """A small spacecraft to command: for trying everything without a radio.

    It receives CLTUs, runs FARM-1 on each virtual channel, and answers with TM, AOS or USLP frames that carry CLCWs,
    housekeeping packets, and a verification packet for each command.  Both ends need the same profiles.
    """
    from ccsds.cli.source_options import load_profile
    from ccsds.testing.spacecraft import Spacecraft

    spacecraft = Spacecraft(load_profile(uplink), load_profile(downlink))
    faults = {"loss": loss, "bit_errors": bit_errors, "delay_ms": delay, "seed": seed}
    receives = receiving_port(listen, "--listen", faults)
    with closing([receives]):
        sends = sending_port(send, "--send", faults | {"seed": seed + 1})
        with closing([sends]):
            view = _json_view if as_json else _live_view if sys.stdout.isatty() else _plain_view
            with view(spacecraft, listen, send) as tell:
                interrupted = _Flight(spacecraft, receives, sends, rate, seconds).run(tell)
    if not as_json:
        counters = spacecraft.counters
        begin = "interrupted after " if interrupted and seconds is not None else ""
        click.echo(
            f"{begin}{counters.cltus} CLTUs, {counters.frames} frames, {counters.commands} commands; "
            f"{counters.downlink_frames} frames sent"
        )


class _Flight:
    """The spacecraft between its two ports, a frame at each turn of the clock."""

    def __init__(self, spacecraft: Spacecraft, receives: Port, sends: Port, rate: float, seconds: float | None) -> None:
        self._spacecraft, self._receives, self._outlet = spacecraft, receives, Outlet(sends)
        self._period_ns = int(1e9 / rate)
        self._for_ns = None if seconds is None else int(seconds * 1e9)

    def run(self, tell: Callable[[int, list[ReceivedCommand]], None]) -> bool:
        """Until the time is over or Ctrl-C, which is the usual end; True for that."""
        clock, spacecraft = Clock(), self._spacecraft
        next_ns = clock.now_ns()
        end = None if self._for_ns is None else next_ns + self._for_ns
        try:
            while end is None or clock.now_ns() < end:
                if (now := clock.now_ns()) >= next_ns:
                    self._outlet.send([spacecraft.next_frame(now)] if self._outlet.is_empty else [])
                    next_ns = max(next_ns + self._period_ns, now - self._period_ns)
                wait = max(0.0, (next_ns - clock.now_ns()) / 1e9)
                for octets in self._receives.receive(256, min(wait, 0.2)):
                    spacecraft.handle_uplink(bytes(octets), now_ns=clock.now_ns())
                tell(clock.now_ns(), list(iter(spacecraft.poll_command, None)))
        except KeyboardInterrupt:
            return True
        return False


def _status(spacecraft: Spacecraft) -> dict[str, Any]:
    counters = spacecraft.counters
    tree: dict[str, Any] = {name: getattr(counters, name) for name in counters.__struct_fields__}
    tree["clcws"] = {
        str(channel): {
            "report_value": clcw.report_value,
            "lockout_flag": clcw.lockout_flag,
            "wait_flag": clcw.wait_flag,
            "retransmit_flag": clcw.retransmit_flag,
            "farm_b_counter": clcw.farm_b_counter,
        }
        for channel, clcw in spacecraft.clcws().items()
    }
    return tree


def _told(one: ReceivedCommand) -> dict[str, Any]:
    return {
        "kind": "received",
        "time_ns": one.time_ns,
        "virtual_channel_id": one.virtual_channel_id,
        "map_id": None if one.map_id < 0 else one.map_id,
        "mode": "AD" if one.sequence_controlled else "BD",
        "octets": one.octets.hex(),
    }


@contextmanager
def _json_view(
    spacecraft: Spacecraft, listen: str, send: str
) -> Iterator[Callable[[int, list[ReceivedCommand]], None]]:
    click.echo(json.dumps({"kind": "started", "listen": listen, "send": send}))
    sys.stdout.flush()
    next_ns = 0

    def tell(now_ns: int, commands: list[ReceivedCommand]) -> None:
        nonlocal next_ns
        lines = [_told(one) for one in commands]
        if now_ns >= next_ns:
            next_ns = now_ns + STATUS_NS
            lines.append({"kind": "status", "time_ns": now_ns, **_status(spacecraft)})
        for line in lines:
            click.echo(json.dumps(line))

    yield tell
    click.echo(json.dumps({"kind": "end", **_status(spacecraft)}))


@contextmanager
def _plain_view(
    spacecraft: Spacecraft, listen: str, send: str
) -> Iterator[Callable[[int, list[ReceivedCommand]], None]]:
    click.echo(f"spacecraft {spacecraft.spacecraft_id}: CLTUs at {listen}, {spacecraft.downlink.frame_type} to {send}")
    sys.stdout.flush()

    def tell(_: int, commands: list[ReceivedCommand]) -> None:
        for one in commands:
            click.echo(_sentence(one))

    yield tell


@contextmanager
def _live_view(
    spacecraft: Spacecraft, listen: str, send: str
) -> Iterator[Callable[[int, list[ReceivedCommand]], None]]:
    from rich.live import Live

    click.echo(
        f"spacecraft {spacecraft.spacecraft_id}: CLTUs at {listen}, {spacecraft.downlink.frame_type} frames to {send}; "
        "Ctrl-C ends it"
    )
    last: deque[str] = deque(maxlen=8)
    next_ns = 0
    with Live(console=style.console(), auto_refresh=False) as live:

        def tell(now_ns: int, commands: list[ReceivedCommand]) -> None:
            nonlocal next_ns
            last.extend(_sentence(one) for one in commands)
            if commands or now_ns >= next_ns:
                next_ns = now_ns + STATUS_NS // 4
                live.update(_table(spacecraft, list(last)), refresh=True)

        yield tell


def _table(spacecraft: Spacecraft, last: list[str]) -> Table:
    from ccsds.cli.report import make_table

    table = make_table("what", "how much")
    table.columns[1].justify = "left"
    counters = spacecraft.counters
    table.add_row("CLTUs", f"{counters.cltus:,}, {spacecraft.decoder.counters.corrected_bits:,} bits corrected")
    table.add_row(
        "frames", f"{counters.frames:,}, {counters.accepted_frames:,} accepted, {counters.discarded_frames:,} discarded"
    )
    table.add_row("control commands", f"{counters.control_commands:,}")
    table.add_row("commands", f"{counters.commands:,}")
    table.add_row("frames sent", f"{counters.downlink_frames:,}")
    for channel, clcw in spacecraft.clcws().items():
        flags = [name for name in ("lockout", "wait", "retransmit") if getattr(clcw, f"{name}_flag")]
        words = ", ".join([f"V(R) {clcw.report_value}", f"FARM-B {clcw.farm_b_counter}", *flags])
        table.add_row(f"FARM-1 of VC {channel}", words)
    for line in last:
        table.add_row("", line)
    return table


def _sentence(one: ReceivedCommand) -> str:
    mode = "AD" if one.sequence_controlled else "BD"
    place = f"VC {one.virtual_channel_id}" + ("" if one.map_id < 0 else f", MAP {one.map_id}")
    begin = one.octets[:24].hex() + ("..." if len(one.octets) > 24 else "")
    return f"{place}, {mode}: {len(one.octets)} octets {begin}"
