"""Shell completion: the scripts, and the answers that they ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

RUN = [sys.executable, "-c", "from ccsds.cli.main import run; run()"]


def ccsds(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *arguments], capture_output=True, text=True, timeout=60, env=os.environ | environment, check=True
    )


@pytest.mark.parametrize(("shell", "words"), [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete ")])
def test_the_script_is_for_that_shell(shell: str, words: str) -> None:
    script = ccsds("completion", shell).stdout
    assert words in script
    assert f"_CCSDS_COMPLETE={shell}_complete" in script


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(shell: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    script = ccsds("completion", shell).stdout
    done = subprocess.run([found, "-n"], input=script, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_and_arguments_are_completed() -> None:
    words = {"_CCSDS_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "ccsds compl"}
    assert ccsds(**words).stdout == "plain,completion\n"
    words |= {"COMP_CWORD": "2", "COMP_WORDS": "ccsds completion "}
    assert ccsds(**words).stdout.split() == ["plain,bash", "plain,zsh", "plain,fish"]
