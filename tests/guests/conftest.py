"""The package of the guests, importable under its own name, and the one guest that all SR-IOV checks share."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
TIMEOUT_S = 300.0
"""A limit for a machine that does other work too; on an idle one the guest takes less than a minute."""

_SPEC = importlib.util.spec_from_file_location("guests", HERE / "__init__.py", submodule_search_locations=[str(HERE)])
sys.modules["guests"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["guests"])


@pytest.fixture(scope="session")
def packages():
    """Emulator and kernel; brought in CI, elsewhere only used where they have been brought."""
    from guests.packages import fetch, present

    found = present()
    if found is None and os.environ.get("CI", "").lower() == "true":
        found = fetch()
    if found is None:
        pytest.skip("no QEMU and kernel for guests; python3 tests/guests/packages.py brings them")
    return found


@pytest.fixture(scope="session")
def sriov_guest(packages, tmp_path_factory):
    """Outcome of all checks in one guest, which boots once for all the processes that run tests."""
    from guests.guest import Outcome

    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    kept = common / "sriov-guest.json"
    with (common / "sriov-guest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(asdict(_run_sriov_guest(packages))), encoding="utf-8")
    return Outcome(**json.loads(kept.read_text(encoding="utf-8")))


def _run_sriov_guest(packages):
    from guests.guest import Guest, igb_cards
    from guests.initramfs import ROOT_MODULES, module_files, pack

    initramfs = pack(
        busybox=packages.busybox,
        modules=module_files(packages.modules, [*ROOT_MODULES, "igb", "igbvf"]),
        command=[sys.executable, str(HERE / "sriov_checks.py")],
        directory=PROJECT,
        environment={
            "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/tmp",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    return Guest(packages.emulator(), packages.kernel, initramfs, igb_cards(1), timeout_s=TIMEOUT_S).run()
