"""What the doctor says of netmap, from a tree like /sys."""

from __future__ import annotations

import pytest

from netmap_io.doctor.finding import State
from netmap_io.doctor.netmap import finding


@pytest.fixture
def machine(tmp_path):
    """The module is there; igb has netmap in it, and e1000e has not."""
    (tmp_path / "sys/module/netmap/holders/igb").mkdir(parents=True)
    (tmp_path / "sys/module/netmap/parameters").mkdir()
    (tmp_path / "netmap").touch()
    return tmp_path


def say(machine, driver, mode="0"):
    (machine / "sys/module/netmap/parameters/admode").write_text(f"{mode}\n")
    return finding("eth0", driver, sys=str(machine / "sys"), device=str(machine / "netmap"))


@pytest.mark.parametrize(
    ("driver", "mode", "state", "word"),
    [
        ("igb", "0", State.GOOD, "native: the loaded driver igb"),
        ("igb", "1", State.GOOD, "native"),
        ("igb", "2", State.LIMITED, "emulated: igb has netmap, but admode=2"),
        ("e1000e", "0", State.LIMITED, "emulated"),
        ("e1000e", "2", State.LIMITED, "emulated"),
        ("e1000e", "1", State.ABSENT, "none: e1000e has no netmap in it, and admode=1"),
        (None, "0", State.UNKNOWN, "the driver is not told"),
    ],
)
def test_native_emulated_or_none(machine, driver, mode, state, word):
    found = say(machine, driver, mode)
    assert found.state is state
    assert found.fact.startswith(word)
    assert bool(found.advice) == (state in (State.LIMITED, State.ABSENT))


def test_the_module_is_what_the_driver_is_in_and_not_what_it_is_called(machine):
    driver = machine / "sys/class/net/eth0/device/driver"
    driver.mkdir(parents=True)
    (driver / "module").symlink_to(machine / "sys/module/netmap/holders/igb")
    assert "native: the loaded driver igb" in say(machine, "another-name").fact


def test_without_the_device_there_is_none(machine):
    (machine / "netmap").unlink()
    found = say(machine, "igb")
    assert (found.state, found.fact.split(":")[0]) == (State.ABSENT, "none")


def test_without_holders_nothing_is_promised(machine):
    (machine / "sys/module/netmap/holders/igb").rmdir()
    (machine / "sys/module/netmap/holders").rmdir()
    found = say(machine, "igb")
    assert found.state is State.UNKNOWN
    assert "native or emulated shows when a port is opened" in found.fact
