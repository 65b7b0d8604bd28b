"""The queueing discipline of a device is put back after netmap replaced it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from netmap_io.drivers.netmap_discipline import Discipline

_SPEC = importlib.util.spec_from_file_location("netmap_io_links", Path(__file__).parents[1] / "links.py")
links = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(links)


@pytest.fixture
def pair():
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    pair = links.VethPair()
    with pair.inside():
        yield pair
    pair.close()


def root_of(name: str):
    discipline = Discipline.of(name)
    discipline._socket.close()
    return discipline.before


def as_netmap_does(name: str) -> None:
    """What is there once netmap's own has gone: a plain queue."""
    other = Discipline.of(name)
    other._replace("pfifo", 0x10000, b"")
    other._socket.close()
    assert root_of(name).kind == "pfifo"


def test_the_system_s_default_comes_back(pair):
    discipline = Discipline.of(pair.near)
    before = discipline.before
    assert (before.kind, before.handle) == ("noqueue", 0)
    as_netmap_does(pair.near)
    assert discipline.restore()
    assert root_of(pair.near) == before


def test_one_that_somebody_set_comes_back_with_its_options(pair):
    other = Discipline.of(pair.near)
    other._replace("bfifo", 0x80010000, (77_000).to_bytes(4, "little"))
    other._socket.close()
    discipline = Discipline.of(pair.near)
    assert discipline.before.kind == "bfifo"
    as_netmap_does(pair.near)
    assert discipline.restore()
    after = root_of(pair.near)
    assert (after, after.options) == (discipline.before, (77_000).to_bytes(4, "little"))
    if shutil.which("tc"):
        told = subprocess.run(["tc", "qdisc", "show", "dev", pair.near], stdout=subprocess.PIPE, text=True, timeout=10)
        assert "bfifo" in told.stdout


def test_nothing_is_done_where_nothing_has_changed(pair):
    discipline = Discipline.of(pair.near)
    assert discipline.restore()


def test_a_device_that_has_gone_is_no_trouble(pair):
    discipline = Discipline.of(pair.near)
    pair.ip("link", "delete", pair.near)
    assert discipline.restore() is False


def test_no_device_no_discipline(pair):
    assert Discipline.of("nosuch") is None
