"""Record transcripts on the machine this runs on: `python record.py DIRECTORY`, as root, netmap loaded.

Standard library only, so that any guest can run it.  Each scenario runs in a process of its own: what state it
leaves in the kernel goes with it, and one that the kernel holds for ever is reported and left behind.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import sys
from pathlib import Path
from typing import Any

from netmap_transcripts.machine import DEVICE, Device
from netmap_transcripts.player import Player
from netmap_transcripts.scenarios import SUBJECTS
from netmap_transcripts.transcript import Scenario, dump

SECONDS = 60


def record(scenario: Scenario) -> list[dict[str, Any]]:
    """The scenario's steps with what the real module showed after each."""
    player = Player(Device())
    try:
        return [{**step, **({"saw": seen} if (seen := player.play(step)) else {})} for step in scenario.steps]
    finally:
        player.finish()


def _in_child(scenario: Scenario, answer: Any) -> None:
    try:
        answer.send(record(scenario))
    except Exception as error:  # noqa: BLE001  told to the parent, which reports it
        answer.send(repr(error))


def record_apart(scenario: Scenario) -> list[dict[str, Any]]:
    """`record` in a child process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_in_child, args=(scenario, theirs), daemon=True)
    child.start()
    theirs.close()
    if not ours.poll(SECONDS):
        raise TimeoutError(f"{scenario.id}: no end after {SECONDS} s")
    steps: list[dict[str, Any]] | str = ours.recv()
    child.join(SECONDS)
    if isinstance(steps, str):
        raise RuntimeError(f"{scenario.id}: {steps}")
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--only", action="append", help="beginning of the ids of the scenarios to record; may be repeated"
    )
    parser.add_argument(
        "--origin", type=json.loads, default={}, help="JSON: what to say of the module besides the kernel"
    )
    arguments = parser.parse_args()
    if not Path(DEVICE).exists():
        parser.error(f"no {DEVICE}")
    failed = 0
    for subject, scenarios in SUBJECTS.items():
        recorded = []
        for scenario in scenarios():
            if arguments.only and not any(scenario.id.startswith(only) for only in arguments.only):
                continue
            try:
                recorded.append(Scenario(**{**vars(scenario), "steps": record_apart(scenario)}))
            except (TimeoutError, RuntimeError) as error:
                print(error, file=sys.stderr)
                failed += 1
        if recorded:
            origin = {"transcripts": 1, "subject": subject, "kernel": platform.release(), **arguments.origin}
            (arguments.directory / f"{subject}.jsonl").write_text(dump(origin, recorded), encoding="utf-8")
            print(f"{subject}: {len(recorded)} scenarios")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
