"""Virtual functions of an emulated card, under a Debian kernel with its own drivers, through `netmap-io sriov`.

The guest runs once for all; what it checks is in `sriov_checks`, and each check is a test here.
"""

from __future__ import annotations

import json

import pytest

from guests.sriov_checks import CHECKS

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def told(sriov_guest):
    lines = [json.loads(line) for line in sriov_guest.lines]
    return {line["check"]: line for line in lines}


def test_the_guest_came_to_its_end(sriov_guest, told):
    assert sriov_guest.exit_code == 0, "\n".join(sriov_guest.console[-40:])
    assert list(told) == list(CHECKS)
    print(f"guest {sriov_guest.seconds:.1f} s, {sriov_guest.seconds_to_command:.1f} s of them to its command")


@pytest.mark.parametrize("name", CHECKS)
def test_sriov(name, told):
    assert name in told, "the guest did not come so far"
    assert told[name]["passed"], told[name]["told"]


def test_carrier_comes_soon(told):
    """Four seconds by hand; three times as long in any other order of steps."""
    assert told["apply_creates_and_reports"]["told"]["seconds"] < 30
