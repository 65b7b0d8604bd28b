"""Hypothesis without deadlines: a busy machine is no failure.  And pairs of interfaces to drive real ports with."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

_SPEC = importlib.util.spec_from_file_location("netmap_io_links", Path(__file__).with_name("links.py"))
links = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(links)


@pytest.fixture
def veth():
    """A links.VethPair."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is not installed")
    pair = links.VethPair()
    yield pair
    pair.close()
