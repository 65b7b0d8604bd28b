"""`netmap-io sriov` on a card in memory: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from fake_kernel import FakeKernel

from netmap_io.cli.main import cli
from netmap_io.sriov import runner, state

REQUEST = """
physical_function = "eth0"
number = 2
[defaults]
trust = true
[[virtual_function]]
index = 1
mac = "02:00:00:00:00:11"
vlan = 100
"""


@pytest.fixture
def card(kernel, monkeypatch, tmp_path):
    for module in (state, runner):
        monkeypatch.setattr(module, "System", lambda: kernel.system)
    (tmp_path / "link.toml").write_text(REQUEST)
    monkeypatch.chdir(tmp_path)
    return kernel


def run(*arguments: str, code: int = 0):
    done = CliRunner().invoke(cli, ["sriov", *arguments], prog_name="netmap-io", env={"COLUMNS": "200"})
    assert done.exit_code == code, (done.output, done.exception)
    return done


def complaint(*arguments: str, code: int) -> str:
    done = run(*arguments, code=code)
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_list(card):
    assert run("list").stdout == "eth0  0000:01:00.0  driver igb, down, 2 queues; 0 of at most 4 virtual functions\n"
    run("apply", "link.toml")
    first, heads, *rows = run("list").stdout.splitlines()
    assert first.startswith("eth0  0000:01:00.0  driver igb, up, 2 queues; 2 of at most 4")
    assert heads.split()[:6] == ["VF", "PCI", "address", "driver", "interface", "namespace"]
    assert rows[1].split()[:9] == ["1", "0000:01:10.1", "igbvf", "eth2", "-", "up", "02:00:00:00:00:11", "100", "0"]
    (told,) = json.loads(run("list", "0000:01:00.0", "--json").stdout)
    assert [each["settings"]["trust"] for each in told["virtual_functions"]] == [True, True]


def test_no_card(tmp_path, monkeypatch):
    empty = state.System(sysfs=state.Sysfs(tmp_path))
    monkeypatch.setattr(state, "System", lambda: empty)
    assert run("list").stdout == "no card of this machine has SR-IOV, or its firmware hides it\n"
    assert json.loads(run("list", "--json").stdout) == []


def test_apply_by_file_and_by_options_is_the_same(card):
    planned = run("apply", "link.toml", "--dry-run").stdout
    options = ("-i", "eth0", "-n", "2", "--all", "trust=on", "--vf", "1:mac=02:00:00:00:00:11,vlan=100")
    assert run("apply", *options, "--dry-run").stdout == planned
    assert all(line.startswith("planned        ") for line in planned.splitlines())
    assert card.changes == 0
    done = run("apply", "link.toml").stdout.splitlines()
    assert [line[15:] for line in planned.splitlines()] == [line[15:].partition(" (")[0] for line in done[:-1]]
    assert done[-1].startswith("done in ")
    assert run("apply", *options).stdout == "nothing to do\n"
    assert run("apply", *options, "--dry-run").stdout == "nothing to do\n"
    assert json.loads(run("apply", *options, "--json").stdout) == {
        "physical_function": "eth0",
        "changed": False,
        "seconds": 0.0,
        "problem": None,
        "steps": [],
    }


def test_options_go_over_the_file(card):
    run("apply", "link.toml", "--number", "3", "--vf", "1:vlan=7", "--vf", "2:up=off", "--carrier-timeout", "0")
    assert [each.settings.vlan for each in card.functions] == [0, 7, 0]
    assert card.functions[1].settings.mac == "02:00:00:00:00:11"
    assert [each.up for each in card.functions] == [True, True, False]


def test_a_failure_is_shown_with_its_way_back(card):
    run("apply", "link.toml")
    before = card.fingerprint()
    done = run("apply", "link.toml", "--vf", "0:vlan=3", "--vf", "1:vlan_protocol=802.1ad", code=3)
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["done", "failed", "taken back"]
    assert "VLANs of that protocol" in done.stderr
    assert card.fingerprint() == before
    told = json.loads(run("apply", "link.toml", "--vf", "1:vlan_protocol=802.1ad", "--json", code=3).stdout)
    assert told["problem"].endswith("(EPROTONOSUPPORT)")
    assert (told["changed"], [step["state"] for step in told["steps"]]) == (False, ["failed"])


def test_delete(card):
    run("apply", "link.toml")
    assert "2 virtual functions removed" in run("delete", "eth0").stdout
    assert run("delete", "eth0").stdout == "nothing to do\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["apply"], 2, "the request needs a file, or --interface"),
        (["apply", "-i", "eth0"], 2, "the request needs a file, or --number"),
        (["apply", "link.toml", "--vf", "mac=1"], 2, "--vf mac=1: must be INDEX:KEY=VALUE"),
        (["apply", "link.toml", "--vf", "0:mac"], 2, "'mac' is no KEY=VALUE"),
        (["apply", "link.toml", "--vf", "0:mc=3"], 2, "mc: there is no such key; did you mean mac?"),
        (["apply", "link.toml", "--vf", "0:vlan=5000"], 2, "vlan: expected `int` <= 4094"),
        (["apply", "link.toml", "--vf", "0:trust=maybe"], 2, "trust: expected `bool`"),
        (["apply", "link.toml", "-n", "1"], 2, "virtual_function[0].index: 1 is not below number = 1"),
        (["apply", "absent.toml"], 3, "absent.toml: no such file"),
        (["apply", "link.toml", "-i", "eth7"], 3, "eth7 is no interface"),
        (["delete", "eth7"], 3, "physical functions: eth0"),
        (["remove", "eth0"], 2, "there is no command 'remove'"),
        (["lst"], 2, "did you mean list"),
    ],
)
def test_wrong_use_is_one_sentence(card, arguments, code, words):
    assert words in complaint(*arguments, code=code)
    assert card.changes == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("defaults = 3", "defaults: expected `object`, got `int`"),
        ("virtual_function = 3", "virtual_function: expected `array`, got `int`"),
        ("virtual_function = [3]", "virtual_function[0]: expected `object`, got `int`"),
        ("[[virtual_function]]\nindex = []", "virtual_function[0].index: expected `int`, got `array`"),
    ],
)
def test_a_file_of_the_wrong_kind_under_options(card, tmp_path, text, words):
    (tmp_path / "odd.toml").write_text(f"{text}\n")
    options = ("-i", "eth0", "-n", "1", "--all", "trust=on", "--vf", "0:vlan=3")
    assert words in complaint("apply", "odd.toml", *options, code=2)


def test_completion(card, monkeypatch):
    from click.shell_completion import ShellComplete

    from netmap_io.sriov import sysfs

    monkeypatch.setattr(sysfs, "Sysfs", lambda: card.system.sysfs)

    def offers(*arguments: str) -> list[str]:
        *before, last = arguments
        return [
            each.value for each in ShellComplete(cli, {}, "netmap-io", "_X").get_completions(["sriov", *before], last)
        ]

    assert offers("") == ["apply", "delete", "list"]
    assert offers("delete", "e") == ["eth0"]
    assert offers("apply", "--vf", "0:mac=02:00:00:00:00:01,v") == [
        f"0:mac=02:00:00:00:00:01,{name}=" for name in ("vlan", "vlan_protocol")
    ]
    assert offers("apply", "--vf", "0:m") == [
        f"0:{name}=" for name in ("mac", "minimum_rate_mbit_s", "maximum_rate_mbit_s")
    ]


def test_pyroute2_is_loaded_by_nobody_who_does_not_need_it():
    code = (
        "import sys, netmap_io.sriov.runner, netmap_io.cli.sriov, netmap_io.cli.main; "
        "print([name for name in sys.modules if name.startswith('pyroute2')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_kernel_is_made_with_its_arguments(tmp_path):
    """The fake itself: what the facts say of writing sriov_numvfs."""
    card = FakeKernel(tmp_path / "sys")
    numvfs = "bus/pci/devices/0000:01:00.0/sriov_numvfs"
    for text, number in (("9", 34), ("-1", 22), ("x", 22)):
        with pytest.raises(OSError) as raised:
            card.write(numvfs, text)
        assert raised.value.errno == number
    card.write(numvfs, "2")
    with pytest.raises(OSError) as raised:
        card.write(numvfs, "3")
    assert raised.value.errno == 16
