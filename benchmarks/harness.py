"""What every benchmark here shares: one core, warm-up, medians, peers in environments of their own, one table.

Only the standard library: peers' environments import this file too, and have nothing of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements-peers.txt"
RESULTS = HERE / "RESULTS.md"
INSTALL_SECONDS = 600
RUN_SECONDS = 900
WALL = "CCSDS_BENCHMARK_WALL"
"""Set: measure by the clock on the wall; peers see it too."""


@dataclass
class Measurement:
    """Seconds per call.  `amount` is what one call handles, in the benchmark's unit."""

    amount: float
    median: float
    fastest: float
    runs: int

    @property
    def rate(self) -> float:
        """Amount per second, by the median."""
        return self.amount / self.median


@dataclass
class Row:
    """One line of a table: ours against the same case by a peer, measured in the same run."""

    case: str
    unit: str
    ours: float | None
    peer: str = ""
    theirs: float | None = None
    note: str = ""


@dataclass
class Report:
    """All rows of one benchmark."""

    title: str
    included: str
    rows: list[Row] = field(default_factory=list)

    def best_peer(self, case: str) -> Row | None:
        """The row of the fastest peer in a case."""
        rows = [row for row in self.rows if row.case == case and row.theirs]
        return max(rows, key=lambda row: row.theirs or 0.0, default=None)


class PeerError(Exception):
    """A peer that cannot be installed or run; the message says why."""


def measure(
    call: Callable[[], Any], amount: float, *, seconds: float = 1.0, least: int = 3, most: int = 1000
) -> Measurement:
    """Call once to warm up, then until `seconds` have passed, `least` to `most` times.

    Measured is the processor time of this process, its kernel time and all its threads included: on an idle machine
    that is the time on the wall of a single-threaded call, on a busy one it still is.  A call's result is dropped
    outside of the time measured.
    """
    clock = time.perf_counter if os.environ.get(WALL) else time.process_time
    call()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < least or (time.perf_counter() - begun < seconds and len(times) < most):
        before = clock()
        result = call()
        times.append(clock() - before)
        del result
    return Measurement(amount, statistics.median(times), min(times), len(times))


def pin() -> int | None:
    """Stay on one core, peers started from here too; the core's number, None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def machine() -> dict[str, str]:
    """What the figures hold for."""
    model = platform.processor() or "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    rustc = shutil.which("rustc")
    version = run([rustc, "--version"], 10).split()[1] if rustc else "none"
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "rustc": version,
        "load": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def hand_built(name: str) -> Path | None:
    """A peer that the reader built: `CCSDS_BENCHMARK_<NAME>` names its program or library."""
    variable = f"CCSDS_BENCHMARK_{name.upper().replace('-', '_')}"
    given = os.environ.get(variable)
    if given is None:
        return None
    path = Path(given)
    if not path.exists():
        raise PeerError(f"{variable} names {given}, which is not there")
    return path


def cache() -> Path:
    """Where peers' environments and inputs are kept: CCSDS_BENCHMARK_CACHE, else the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(os.environ.get("CCSDS_BENCHMARK_CACHE") or Path(home) / "ccsds-link-benchmarks")
    path.mkdir(parents=True, exist_ok=True)
    return path


def peer_python(name: str, python: str | None = None) -> str:
    """The interpreter of an environment that holds section `name` of requirements-peers.txt, made when first asked for.

    Args: python: a version such as "3.13", where the peer needs another than ours.
    """
    wanted = requirements(name)
    interpreter = sys.executable if python is None else shutil.which(f"python{python}")
    if interpreter is None:
        raise PeerError(f"needs python{python}, which is not on PATH")
    place = cache() / f"{name}-{python or '.'.join(map(str, sys.version_info[:2]))}"
    stamp = place / "installed.txt"
    program = str(place / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != "\n".join(wanted):
        shutil.rmtree(place, ignore_errors=True)
        run([interpreter, "-m", "venv", str(place)], INSTALL_SECONDS)
        run([program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], INSTALL_SECONDS)
        stamp.write_text("\n".join(wanted))
    return program


def requirements(name: str) -> list[str]:
    """The lines under `# [name]` in requirements-peers.txt."""
    section, wanted = "", []
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith("# ["):
            section = line[3 : line.index("]")]
        elif line.strip() and not line.startswith("#") and section == name:
            wanted.append(line.strip())
    if not wanted:
        raise PeerError(f"{REQUIREMENTS.name} has no section [{name}]")
    return wanted


def run(command: list[str], seconds: float) -> str:
    """Standard output of a command.  Raises PeerError with its last line of error where it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds, env=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(str(error)) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise PeerError(last)
    return done.stdout


def run_peer(script: Path, name: str, *arguments: str, python: str | None = None) -> dict[str, Any]:
    """Run `script name arguments` in the environment of peer `name`; the JSON of its last line."""
    out = run([peer_python(name, python), str(script), name, *arguments], RUN_SECONDS)
    result: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return result


def figure(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def markdown(report: Report) -> str:
    """The report as a section of RESULTS.md."""
    about = "; ".join(f"{key} {value}" for key, value in machine().items())
    clock = "time on the wall" if os.environ.get(WALL) else "processor time"
    lines = [f"## {report.title}", "", report.included, "", f"Measured on: {about}; one core, {clock}, median.", ""]
    lines += ["| case | unit | ours | peer | peer's | ratio | |", "|---|---|---:|---|---:|---:|---|"]
    for row in report.rows:
        ratio = f"{figure(row.ours / row.theirs)}x" if row.ours and row.theirs else ""
        cells = [row.case, row.unit, figure(row.ours), row.peer, figure(row.theirs), ratio, row.note]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_section(text: str) -> None:
    """Put a section into RESULTS.md in the place of the one with the same heading."""
    heading = text.splitlines()[0]
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    head, *sections = ("\n" + old).split("\n## ")
    kept = [section for section in sections if section.splitlines()[0] != heading[3:]]
    sections = [section.strip() for section in [*kept, text.strip()[3:]]]
    RESULTS.write_text("\n\n## ".join([head.strip(), *sections]) + "\n")


def main(build: Callable[[argparse.Namespace], Report], description: str) -> None:
    """Command line of a benchmark: the table, `--json`, or `--write` into RESULTS.md."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="machine and rows as JSON on standard output")
    parser.add_argument("--write", action="store_true", help="also put the table into RESULTS.md")
    parser.add_argument("--no-peers", action="store_true", help="ours only")
    parser.add_argument("--wall", action="store_true", help="time on the wall instead of processor time")
    arguments = parser.parse_args()
    if arguments.wall:
        os.environ[WALL] = "1"
    pin()
    report = build(arguments)
    if arguments.write:
        write_section(markdown(report))
    if arguments.json:
        print(json.dumps({"machine": machine(), **asdict(report)}, indent=1))
    else:
        print(markdown(report))
