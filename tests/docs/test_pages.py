"""Every python and console block of README.md and docs/ runs and shows what the page says."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


def _load_runner() -> ModuleType:
    """The runner beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("docs_runner", Path(__file__).with_name("runner.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


runner = _load_runner()
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if not {"_build", "generated"} & set(path.parts)),
]
RUNNABLE = [page for page in PAGES if re.search(r"^```(python|console)", page.read_text(encoding="utf-8"), re.M)]

# Names that pages used before they were built.  In CI the skip fails, so that a page cannot wait for ever.


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prepare(page: Path, folder: Path) -> None:
    """Put files that a page takes for granted into its folder."""
    text = page.read_text(encoding="utf-8")
    for name, source in (
        ("pass.cadu", SHARED / "captures" / "snpp_16_cadu.dat"),
        ("mine.toml", ROOT / "ccsds" / "missions" / "snpp.toml"),
    ):
        if name not in text or not re.search(rf"^```(?:python|console)[^`]*{re.escape(name)}", text, re.M):
            continue
        if SHARED in source.parents and not source.exists():
            pytest.skip("../shared/captures is not beside the project directory")
        if source.exists():
            shutil.copy(source, folder / name)
    if "piece.cadu" in text:
        (folder / "piece.cadu").write_bytes((folder / "pass.cadu").read_bytes()[:5000])


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_what_the_page_shows_works(page: Path, tmp_path: Path) -> None:
    prepare(page, tmp_path)
    assert runner.run_page(page, tmp_path) > 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target) and "generated/" not in target:
            assert (page.parent / target).exists(), f"{name_of(page)} links to {target}"


def readme_command(heading: str) -> str:
    script = 'eval "$(sed -n "/^readme_command()/,/^}/p" .ci/run)"; readme_command "$1"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", heading], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert readme_command("Run the tests") == "python3 bootstrap.py test"
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'TEST_COMMAND=$(readme_command "Run the tests")' in ci
    assert 'bash -c "$TEST_COMMAND"' in ci


def test_each_command_of_the_readme_is_one_line() -> None:
    assert readme_command("See it at work") == "python3 bootstrap.py demo"
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("```sh\n") == 2


# -- the runner itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page",
    [
        "```python\nassert False\n```\n",
        "```python\nimport sys; sys.exit(0)\n```\n",
        "```console\n$ ccsds --version\nccsds-link 99.9\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ false | true\n```\n",
        "```console\n$ true  # exit code 3\n```\n",
        "```console\nno prompt\n```\n",
        "```python no-run\nx\n```\n",
        "```python\nnever closed\n",
    ],
)
def test_a_page_that_lies_is_found(page: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page)
    with pytest.raises((AssertionError, ValueError)):
        runner.run_page(tmp_path / "page.md", tmp_path)


def test_a_page_that_holds_passes(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "```python\nx = 1\n```\ntext\n```python\nopen('f', 'w').write(str(x + 1))\n```\n"
        "```console\n$ cat f\n2\n$ printf 'a\\nb\\nc\\n'\na\n...\nc\n$ echo unseen\n$ ls no-such  # exit code 2\n```\n"
        "```python no-run: the reader has no such file\nraise SystemExit\n```\n```sh\nfalse\n```\n"
    )
    assert runner.run_page(tmp_path / "page.md", tmp_path) == 3
