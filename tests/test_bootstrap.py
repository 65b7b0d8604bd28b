"""bootstrap.py: choosing a toolchain, skipping what is done, failing in one sentence.  Nothing is installed here."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bootstrap(tmp_path: Path) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", ROOT / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.LOG = str(tmp_path / "log" / "bootstrap.log")
    return module


def toolchain(folder: Path, cargo: str, rustc: str | None) -> str:
    folder.mkdir(parents=True)
    for name, version in (("cargo", cargo), ("rustc", rustc)):
        if version is not None:
            (folder / name).write_text(f"#!/bin/sh\necho '{name} {version} (something)'\n")
            (folder / name).chmod(0o755)
    return str(folder)


def test_an_old_python_can_read_it() -> None:
    ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_it_imports_the_standard_library_only() -> None:
    tree = ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert names <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))


@pytest.mark.parametrize(
    ("cargo", "rustc", "good"),
    [
        ("1.89.0", "1.89.0", True),
        ("1.96.0", "1.96.0-nightly", True),
        ("2.0.1", "2.0.1", True),
        ("1.88.0", "1.88.0", False),
        ("1.95.0", "1.63.0", False),
        ("1.95.0", None, False),
        ("broken", "1.95.0", False),
    ],
)
def test_cargo_and_rustc_must_both_be_new_enough(
    bootstrap: ModuleType, tmp_path: Path, cargo: str, rustc: str | None, good: bool
) -> None:
    assert bootstrap.good_rust(toolchain(tmp_path / "bin", cargo, rustc)) is good


def test_a_new_toolchain_is_found_behind_an_old_one(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = toolchain(tmp_path / "old", "1.63.0", "1.63.0")
    new = toolchain(tmp_path / "home of cargo" / "bin", "1.95.0", "1.95.0")
    monkeypatch.setenv("PATH", f"{old}:/usr/bin:/bin")
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home of cargo"))
    assert bootstrap.find_rust() == new
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert bootstrap.ensure_compilers()["PATH"].split(":")[:2] == [new, old]


def test_without_any_way_to_bring_rust_one_sentence_says_what_to_install(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "rust_folders", lambda: [str(tmp_path)])
    monkeypatch.setattr(bootstrap, "apt_candidate", lambda *_: False)
    with pytest.raises(bootstrap.CannotError, match=r"Rust 1\.89 or newer is needed.*install it"):
        bootstrap.bring_rust()


def test_rustup_is_asked_first_and_its_toolchain_is_used(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cargo", "rustc"):  # as rustup's proxies: old by default, new where "stable" is asked for
        (folder / name).write_text(
            f'#!/bin/sh\n[ "$RUSTUP_TOOLCHAIN" = stable ] && [ -e {folder}/done ] && v=1.95.0\n'
            f"echo {name} ${{v:-1.70.0}}\n"
        )
    (folder / "rustup").write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "toolchain install stable" ] && touch {folder}/done\n')
    for path in list(folder.iterdir()):
        path.chmod(0o755)
    monkeypatch.setattr(bootstrap, "rust_folders", lambda: [str(folder)])
    assert bootstrap.find_rust() is None
    settings = bootstrap.ensure_compilers()
    assert settings["RUSTUP_TOOLCHAIN"] == "stable"
    assert settings["PATH"].startswith(f"{folder}{os.pathsep}")


def test_the_fingerprint_follows_what_an_install_depends_on(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("native/src/lib.rs", "ccsds/x.py", "netmap_io/y.py", "native/target/z", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))

    def prints() -> tuple[str, str]:
        return bootstrap.fingerprint("use"), bootstrap.fingerprint("test")

    before = prints()
    for left_out in ("native/target/z", "ccsds/_native.so", "ccsds/__pycache__"):
        path = tmp_path / left_out
        path.mkdir() if path.name == "__pycache__" else path.write_text("2")
    assert prints() == before
    (tmp_path / "ccsds/x.py").write_text("2")
    use, test = prints()
    assert use != before[0]
    assert test == before[1]  # an editable install reads Python where it is
    (tmp_path / "native/src/lib.rs").write_text("2")
    assert prints()[1] != before[1]


def test_modules_of_an_older_build_are_forgotten(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    bootstrap.forget_older_builds()  # nothing there yet
    for name in ("lib", "lib.linux-x86_64-cpython-311", "bdist.linux-x86_64", "temp.linux-x86_64-cpython-311"):
        (tmp_path / "build" / name).mkdir(parents=True)
    bootstrap.forget_older_builds()
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["temp.linux-x86_64-cpython-311"]


def test_a_step_that_fails_shows_the_end_of_its_log(bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(bootstrap.CannotError, match="counting failed"):
        bootstrap.step("counting", [sys.executable, "-c", "for n in range(99): print('line', n)\nraise SystemExit(5)"])
    lines = capsys.readouterr().err.split("\n")
    assert "line 98" in lines
    assert "line 69" in lines
    assert "line 68" not in lines


@pytest.mark.parametrize(
    ("arguments", "cores"),
    [([], True), (["-k", "foo"], True), (["--pdb"], False), (["-n", "0"], False), (["-n4"], False)],
)
def test_tests_use_all_cores_unless_told_otherwise(bootstrap: ModuleType, arguments: list[str], cores: bool) -> None:
    command = bootstrap.test_command(arguments)
    assert (command[3:5] == ["-n", "auto"]) is cores
    assert command[len(command) - len(arguments) :] == arguments


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 0), (["tset"], 2)])
def test_help_and_wrong_use(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "bootstrap.py"), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == bool(code)
