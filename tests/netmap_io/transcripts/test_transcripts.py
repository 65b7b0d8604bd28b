"""Each recorded scenario again, on the simulated kernel side, and on the module where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from netmap_transcripts.departures import DEPARTURES
from netmap_transcripts.machine import DEVICE, Device, Machine
from netmap_transcripts.player import Player
from netmap_transcripts.scenarios import SUBJECTS
from netmap_transcripts.simulated import Simulated
from netmap_transcripts.transcript import Scenario, differences, load

DIRECTORY = Path(__file__).parents[3] / "ccsds" / "testing" / "vectors" / "netmap"
RECORDED = {path.stem: load(path) for path in sorted(DIRECTORY.glob("*.jsonl"))}
EVERY = [pytest.param(scenario, id=scenario.id) for scenarios in RECORDED.values() for scenario in scenarios]


def replay(scenario: Scenario, machine: Machine) -> list[str]:
    """What was seen otherwise than recorded: "step 3, txsync: place: recorded ..., got ..."."""
    player, found = Player(machine), []
    try:
        for number, recorded in enumerate(scenario.steps):
            step = {name: value for name, value in recorded.items() if name != "saw"}
            seen = player.play(step)
            for difference in differences(recorded.get("saw", {}), seen, scenario.loose):
                found.append(f"step {number}, {step}: {difference}")
    finally:
        player.finish()
    return found


def known(scenario: Scenario) -> list[pytest.MarkDecorator]:
    reason = DEPARTURES.get(scenario.id)
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []


@pytest.mark.parametrize(
    "scenario", [pytest.param(*each.values, id=each.id, marks=known(*each.values)) for each in EVERY]
)
def test_simulation(scenario):
    found = replay(scenario, Simulated())
    assert not found, "\n".join(found)


def test_departures_are_of_scenarios_that_there_are():
    assert DEPARTURES.keys() <= {scenario.id for scenarios in RECORDED.values() for scenario in scenarios}


@pytest.mark.parametrize("scenario", EVERY)
def test_module(scenario):
    if not os.path.exists(DEVICE):
        pytest.skip(f"no {DEVICE}")
    if scenario.needs == "devices" and os.geteuid() != 0:
        pytest.skip("only root may make network devices")
    found = replay(scenario, Device())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_recorded_scenarios_are_those_of_the_script(subject):
    recorded = RECORDED[subject]
    script = {scenario.id: scenario for scenario in SUBJECTS[subject]()}
    assert [scenario.id for scenario in recorded] == list(script)
    for scenario in recorded:
        steps = [{name: value for name, value in step.items() if name != "saw"} for step in scenario.steps]
        assert steps == script[scenario.id].steps, f"{scenario.id}: record it again"
        assert scenario.head == script[scenario.id].head


def test_every_scenario_shows_something():
    silent = [s.id for scenarios in RECORDED.values() for s in scenarios if not any("saw" in step for step in s.steps)]
    assert silent == []


def test_ids_are_unique():
    ids = [scenario.id for scenarios in RECORDED.values() for scenario in scenarios]
    assert len(ids) == len(set(ids))


def test_a_difference_is_found_and_named():
    recorded = {"result": 0, "rings": {"a.t0": {"tail": 3, "slots": [[0, 1, "a.t0+0", 60, 0, 0]]}}}
    assert differences(recorded, recorded, []) == []
    other = {"result": 0, "rings": {"a.t0": {"tail": 4, "slots": [[0, 1, "a.t0+0", 60, 0, 0]]}, "b.r0": {"head": 1}}}
    assert differences(recorded, other, []) == [
        "rings/a.t0/tail: recorded 3, got 4",
        "rings/b.r0/head: recorded {}, got 1",
    ]
    assert differences(recorded, other, ["rings/?.t*/tail", "rings/b.r0/*"]) == []
    assert differences({"result": 0}, {"errno": "EINVAL"}, []) == [
        'errno: recorded {}, got "EINVAL"',
        "result: recorded 0, got {}",
    ]
