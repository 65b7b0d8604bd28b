"""A card in memory."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from netmap_io.sriov import runner

_SPEC = importlib.util.spec_from_file_location("fake_kernel", Path(__file__).with_name("fake_kernel.py"))
sys.modules["fake_kernel"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["fake_kernel"])


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(runner, "LOCKS", tmp_path_factory.mktemp("locks"))


@pytest.fixture
def kernel(tmp_path):
    from fake_kernel import FakeKernel

    return FakeKernel(tmp_path / "sys")
