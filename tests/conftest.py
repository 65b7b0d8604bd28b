"""With CI=true a test that skips for a reason nobody allowed fails the run: CI must not lose tests unnoticed."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the code; benchmarks measure.
settings.register_profile("ccsds", deadline=None)
settings.load_profile("ccsds")

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def patterns(text: str) -> list[str]:
    """The lines of the allow-list, shell patterns over the reason; # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a report was skipped, as its test said it."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ").strip()


class SkipPolicy:
    """Collects skips that the list does not allow; in the process that reports, with or without workers."""

    def __init__(self, allowed: list[str]) -> None:
        self.allowed = allowed
        self.refused: dict[str, str] = {}

    def _look_at(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.outcome != "skipped" or hasattr(report, "wasxfail"):
            return
        reason = reason_of(report)
        if not any(fnmatch.fnmatchcase(reason, pattern) for pattern in self.allowed):
            self.refused[report.nodeid] = reason

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._look_at(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look_at(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skips that tests/allowed_skips.txt does not allow", red=True)
            for test, reason in sorted(self.refused.items()):
                terminalreporter.line(f"{test}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if os.environ.get("CI", "").lower() == "true" and not is_worker:
        config.pluginmanager.register(SkipPolicy(patterns(ALLOWED.read_text(encoding="utf-8"))), "skip-policy")
