"""The policy on skips that conftest.py brings into CI."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

SAMPLE = """
import pytest

def test_passes():
    assert True

def test_skips():
    pytest.skip("{reason}")

@pytest.mark.xfail(strict=True)
def test_known():
    assert False
"""


def run(folder: Path, reason: str, ci: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("conftest.py", "allowed_skips.txt"):
        (folder / name).write_text((TESTS / name).read_text())
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_sample.py").write_text(SAMPLE.replace("{reason}", reason))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={"CI": ci, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("reason", "ci", "code"),
    [
        ("because I felt like it", "true", 1),
        ("because I felt like it", "", 0),
        ("../shared/captures is not beside the project", "true", 0),
        ("fish is not installed", "true", 0),
    ],
)
def test_a_skip_fails_ci_unless_its_reason_is_listed(tmp_path: Path, reason: str, ci: str, code: int) -> None:
    done = run(tmp_path, reason, ci)
    assert done.returncode == code, done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout
    assert (f"test_sample.py::test_skips: {reason}" in done.stdout) is bool(code)


def test_the_policy_holds_with_workers(tmp_path: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    done = run(tmp_path, "because I felt like it", "true", "-n", "2")
    assert done.returncode == 1, done.stdout


def test_a_module_that_skips_as_a_whole_counts(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text("import pytest\npytest.skip('no reason', allow_module_level=True)\n")
    done = run(tmp_path, "fish is not installed", "true")
    assert done.returncode == 1, done.stdout
    assert "test_module.py: no reason" in done.stdout
