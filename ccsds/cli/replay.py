"""`ccsds replay`: packets of a recording, and an exact account of what was lost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from ccsds.cli import style
from ccsds.cli.inputs import Piece, Selection, Source, open_source
from ccsds.cli.problems import INTERRUPTED, InputProblem, StrictLoss, UsageProblem
from ccsds.cli.source_options import find_profile, input_options, mission_options

if TYPE_CHECKING:
    from ccsds.link.account import Account
    from ccsds.link.managed_parameters import Mission
    from ccsds.link.receiver import Receiver

__all__ = ["command"]

PROGRESS_SECONDS = 0.1


@click.command(
    cls=style.Command,
    examples=[
        ("ccsds replay pass.cadu --mission snpp", "packets and losses of a pass"),
        ("ccsds replay pass.pcapng --mission hera --port 5000 --packets out", "packets out of UDP, a file per channel"),
        ("ccsds replay udp:127.0.0.1:5000 --mission mine.toml --seconds 60", "what a port receives in a minute"),
        ("curl -s host/pass.cadu | ccsds replay - --mission mine.toml --json", "the account for a machine"),
    ],
    exit_codes=(0, 1, 2, 3, 4, 130),
)
@style.argument(
    "recording",
    group="Input",
    help="file (capture, CADUs, frames, packets, hex), - for standard input, or port",
)
@input_options
@style.option(
    "--pace", group="Input", default="flat", metavar="flat|original|N", help="of a capture: timing, or N times it"
)
@style.option("--seconds", group="Input", type=click.FloatRange(0), help="of a port: end after that time [Ctrl-C]")
@mission_options
@style.option("--json", "as_json", group="Output", is_flag=True, help="the account as JSON, and only that")
@style.option("--packets", group="Output", metavar="DIR", help="packets, a file per virtual channel")
@style.option("--parquet", group="Output", metavar="FILE", help="packets as a table (needs pyarrow)")
@style.option("--services", group="Output", metavar="DIR", help="OCF and CLCW history, insert zones, data zones ...")
@style.option("--idle", group="Output", is_flag=True, help="write idle packets too")
@style.option("--strict", group="Output", is_flag=True, help="exit code 4 when anything was lost")
@style.option("--progress/--no-progress", group="Output", default=None, help="progress on standard error [a terminal]")
def command(
    recording: str,
    container: str,
    mission: str | None,
    content: str,
    as_json: bool,
    packets: str | None,
    parquet: str | None,
    services: str | None,
    idle: bool,
    strict: bool,
    seconds: float | None,
    progress: bool | None,
    **selection: Any,
) -> int:
    """Packets of a recording, and an exact account of what was lost.

    Recordings are recognised: captures (pcap, pcapng, gzip) by their first octets, records in hexadecimal by their
    letters; anything else is octets back to back, of which the mission profile says what they are.
    """
    from ccsds.cli.outputs import Outputs

    profile = find_profile(mission, content)
    with (
        _open(recording, container, Selection(**selection), seconds) as source,
        Outputs(packets=packets, parquet=parquet, services=services, source=recording) as outputs,
    ):
        replay = Replay(profile, source, idle)
        for warning in replay.receiver.account.warnings:
            click.echo(f"ccsds replay: warning: {warning}", err=True)
        whole = replay.run(outputs.write, _progress(source, progress, replay))
    account = replay.account()
    if as_json:
        click.echo(json.dumps(account.to_dict(), indent=2))
    else:
        from ccsds.cli.report import print_account

        print_account(account, style.console(), elapsed_s=replay.elapsed_s, octets=source.octets_read, whole=whole)
    for remark in source.remarks:
        click.echo(f"ccsds replay: {remark}", err=True)
    if not whole:
        return INTERRUPTED
    if nothing := nothing_found(replay, source):
        raise InputProblem(nothing)
    if strict and (not account.lossless or source.remarks):
        raise StrictLoss(f"{recording}: not all of it came through: {_damage(account)}")
    return 0


def _open(recording: str, container: str, selection: Selection, seconds: float | None) -> Source:
    """A file, standard input, or a port by its address."""
    from ccsds.cli.port_source import is_address, open_port_source

    if is_address(recording):
        return open_port_source(recording, selection, seconds)
    if seconds is not None:
        raise UsageProblem("--seconds is for ports; a recording ends by itself")
    return open_source(recording, container=container, selection=selection)


def nothing_found(replay: Replay, source: Source) -> str:
    """A sentence where a whole recording held not one frame (of a packet file: packet) of the mission; else empty."""
    account = replay.account()
    totals, octets = account.totals, f"{source.octets_read:,} octets"
    if not replay.octets_fed:
        return f"{source.name}: no payload was chosen of {octets}: are --protocol, --port and --offset right?"
    if account.virtual_channels and account.virtual_channels[0]["virtual_channel_id"] is None:
        return "" if totals["packets"] or _idle(account) else f"{source.name}: no whole packet in {octets}"
    if totals["frames"]:
        return ""
    others = totals["foreign_frames"]
    seen = f", but {others:,} of another spacecraft or version" if others else ""
    return f"{source.name}: no frame of this mission in {octets}{seen}: is it the right profile?"


def _damage(account: Account) -> str:
    lost = sum(row["lost_frames"] for row in account.virtual_channels)
    return account.losses() if lost else "the account says what"


def _idle(account: Account) -> int:
    return sum(int(row["idle_packets"]) for row in account.virtual_channels)


class Replay:
    """A source through a receiver."""

    def __init__(self, mission: Mission, source: Source, deliver_idle_packets: bool) -> None:
        from ccsds.link.receiver import Receiver

        self.receiver: Receiver = Receiver(mission, deliver_idle_packets=deliver_idle_packets, digest=True)
        self.source = source
        self.elapsed_s = 0.0
        self.octets_fed = 0

    def run(self, write: Callable[[Any], None], progress: AbstractContextManager[Callable[[], None]]) -> bool:
        """Replay to the end.  False: interrupted; what came until then is accounted for."""
        start = time.monotonic()
        whole = True
        try:
            with progress as tick:
                for piece in self.source:
                    write(self._feed(piece))
                    tick()
        except KeyboardInterrupt:
            whole = False
        write(self.receiver.finish())
        self.elapsed_s = time.monotonic() - start
        return whole

    def account(self) -> Account:
        """What was counted."""
        return self.receiver.account

    def _feed(self, piece: Piece) -> Any:
        self.octets_fed += len(piece.octets)
        if piece.offsets is None or piece.times_ns is None:
            return self.receiver.feed(piece.octets)
        if piece.is_stream and not self._has_markers():
            time_ns = int(piece.times_ns[0]) if len(piece.times_ns) else None
            return self.receiver.feed(piece.octets, reception_time_ns=time_ns)
        return self.receiver.feed_records(piece.octets, piece.offsets, piece.times_ns)

    def _has_markers(self) -> bool:
        channel = self.receiver.channel
        return channel is not None and channel.synchronization is not None


def _progress(source: Source, wanted: bool | None, replay: Replay) -> AbstractContextManager[Callable[[], None]]:
    """A progress bar with octets, rate, time left and live losses, on a terminal or when asked for."""
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        return nullcontext(lambda: None)
    from ccsds.cli.progress import progress_bar

    return progress_bar(source, lambda: replay.account().losses())
