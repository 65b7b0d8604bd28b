"""`netmap-io sink`: frames into nothing, counted; gen's are verified."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from ccsds.cli import style
from ccsds.cli.problems import INTERRUPTED, StrictLoss
from netmap_io.cli.port_name import PortName, open_for
from netmap_io.cli.traffic import LiveRates, Stop, close_port, duration, port_counters, rate_text
from netmap_io.errors import PortError

if TYPE_CHECKING:
    from netmap_io.burst import Burst
    from netmap_io.cli.sequence_account import SequenceAccount
    from netmap_io.port import Port

__all__ = ["command"]

AT_ONCE = 4096
MOST_STREAMS = 64


@click.command(
    cls=style.Command,
    examples=[
        ("netmap-io sink pcap:numbered.pcapng", "what came through of gen's frames"),
        ("netmap-io sink udp:0.0.0.0:5000 --idle 2 --json", "until two seconds of silence"),
        ("netmap-io sink packet:eth1 --expect 1000000 --seconds 20 --strict", "exit code 4 if any is missing"),
    ],
    exit_codes=(0, 1, 2, 3, 4, 130),
)
@style.argument("port", type=PortName(), group="Port", metavar="PORT", help="the port to receive from")
@duration
@style.option(
    "--idle", group="Duration", type=click.FloatRange(0, min_open=True), help="stop after so many seconds of silence"
)
@style.option(
    "--expect",
    group="Verification",
    type=click.IntRange(1),
    help="gen's --count: stop when all came, count the last ones",
)
@style.option("--joined-late", group="Verification", is_flag=True, help="count losses from the first number that came")
@style.option("--strict", group="Verification", is_flag=True, help="exit code 4 when a frame of gen's is not as it was")
@style.option("--json", "as_json", group="Output", is_flag=True, help="the account as JSON, and only that")
@style.option("--progress/--no-progress", group="Output", default=None, help="rates on standard error [a terminal]")
def command(
    port: str,
    count: int | None,
    seconds: float | None,
    idle: float | None,
    expect: int | None,
    joined_late: bool,
    strict: bool,
    as_json: bool,
    progress: bool | None,
) -> int:
    """Receive frames, count them, and verify those that `netmap-io gen` made: lost, duplicated, reordered, damaged.

    Ends when the port has no more, as the options say, or by Ctrl-C; the account is printed in any case.
    """
    with open_for(port, receives=True) as opened:
        stop, ledger = Stop(count, seconds), Ledger()
        whole = True
        problem: Exception | None = None
        try:
            whole = _run(opened, stop, ledger, idle, expect, LiveRates("netmap-io sink", progress))
        except (PortError, OSError) as error:
            problem = error  # the account comes first
        elapsed_s = ledger.elapsed_s(stop.elapsed_s)
        document: dict[str, Any] = {
            "seconds": elapsed_s,
            "port": port,
            **ledger.to_dict(expect, joined_late),
            "counters": port_counters(opened),
        }
        closing = close_port(opened)
        problem = problem or closing
        document["problem"] = None if problem is None else str(problem)
    if as_json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _report(document, whole)
    if problem is not None:
        raise problem
    if not whole:
        return INTERRUPTED
    if strict and not document["as_it_was"]:
        raise StrictLoss(f"{port}: not all of gen's frames came as they were")
    return 0


class Ledger:
    """What came."""

    def __init__(self) -> None:
        self.frames = self.octets = self.damaged = self.others = 0
        self.streams: dict[int, SequenceAccount] = {}
        self.untracked = 0
        self.first_s = self.last_s = 0.0

    def take(self, burst: Burst) -> None:
        import numpy as np

        from netmap_io.cli.numbered_frames import verify
        from netmap_io.cli.sequence_account import SequenceAccount

        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.frames += len(burst)
        self.octets += burst.octets
        verdict = verify(burst)
        self.damaged += verdict.damaged
        self.others += verdict.others
        for stream in np.unique(verdict.streams).tolist():
            numbers = verdict.numbers[verdict.streams == stream]
            if stream not in self.streams and len(self.streams) == MOST_STREAMS:
                self.untracked += len(numbers)
                continue
            self.streams.setdefault(stream, SequenceAccount()).take(numbers)

    def complete(self, expect: int | None) -> bool:
        """Whether all frames came that are expected."""
        return expect is not None and any(each.distinct >= expect for each in self.streams.values())

    def elapsed_s(self, otherwise: float) -> float:
        """From the first burst to the last."""
        return self.last_s - self.first_s or otherwise

    def to_dict(self, expect: int | None, joined_late: bool) -> dict[str, Any]:
        rows = []
        for stream, account in self.streams.items():
            first = (account.lowest or 0) if joined_late else 0
            rows.append(
                {
                    "seed": stream,
                    "frames": account.distinct,
                    "lost": account.lost(first=first, expected=expect),
                    "duplicated": account.duplicated,
                    "reordered": account.reordered,
                    "late": account.late,
                }
            )
        wrong = self.damaged + sum(row[name] for row in rows for name in ("lost", "duplicated", "reordered", "late"))
        missing = expect is not None and not rows
        return {
            "frames": self.frames,
            "octets": self.octets,
            "others": self.others,
            "damaged": self.damaged,
            "streams": rows,
            "frames_of_more_streams": self.untracked,
            "as_it_was": not wrong and not missing,
        }


def _run(port: Port, stop: Stop, ledger: Ledger, idle: float | None, expect: int | None, rates: LiveRates) -> bool:
    """Receive until there is enough; False: interrupted."""
    heard = time.monotonic()
    try:
        while not stop() and not ledger.complete(expect):
            wanted = stop.left(ledger.frames, AT_ONCE)
            if not wanted:
                break
            burst = port.receive(wanted, stop.wait_s)
            if len(burst):
                ledger.take(burst)
                heard = time.monotonic()
            elif port.exhausted or (idle is not None and time.monotonic() - heard >= idle):
                break
            rates.tick(ledger.frames, ledger.octets)
    except KeyboardInterrupt:
        return False
    finally:
        rates.end()
    return True


def _report(document: dict[str, Any], whole: bool) -> None:
    from rich.table import Table

    console = style.console()
    if document["streams"]:
        table = Table(box=None, pad_edge=False, header_style="")
        for head in ("seed", "frames", "lost", "duplicated", "reordered", "late"):
            table.add_column(head, justify="right", no_wrap=True)
        for row in document["streams"]:
            bad = (style.count(row[name], style="bold red") for name in ("lost", "duplicated", "reordered", "late"))
            table.add_row(str(row["seed"]), style.count(row["frames"]), *bad)
        console.print(table)
    for name, text in (
        ("damaged", "of gen's frames are damaged"),
        ("others", "frames are not gen's, or are damaged beyond recognition"),
        ("frames_of_more_streams", f"frames are of more than {MOST_STREAMS} streams, and were only counted"),
    ):
        if document[name]:
            console.print(f"{document[name]:,} {text}")
    for whom in ("port", "ring", "kernel"):
        if document["counters"][f"dropped_by_{whom}"]:
            console.print(f"{document['counters'][f'dropped_by_{whom}']:,} frames dropped by the {whom}")
    frames, octets, seconds = (document[name] for name in ("frames", "octets", "seconds"))
    begin = "" if whole else "interrupted after "
    console.print(
        f"{begin}{frames:,} frames, {octets:,} octets in {seconds:.2f} s ({rate_text(frames, octets, seconds)})"
    )
