"""The emulator and the kernel of the guests: Debian packages, unpacked into a cache and installed nowhere.

    python3 tests/guests/packages.py          bring them (about 110 MB), and say where they are
    python3 tests/guests/packages.py --check  only say whether they are there

Needs apt and dpkg-deb, no privileges, and uses the package sources that the machine has.  Where these offer no QEMU
with an SR-IOV card (8 or later), the backports of the same archive are asked.  Everything that the emulator links to
comes with it, down to the C library: what is installed on the machine, or removed from it, does not matter.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["MissingPackagesError", "Packages", "cache_directory", "fetch", "present"]

EMULATOR = "qemu-system-x86"
KERNEL = "linux-image-amd64"
OLDEST_EMULATOR = 8
"""The first QEMU with `igb`, the one card that it emulates with virtual functions of a network kind."""
LAYOUT = 1
"""Of the cache; another number makes it be built anew."""
NOT_UNPACKED = (
    "./usr/share/doc",
    "./usr/share/locale",
    "./usr/share/man",
    "./lib/modules/*/kernel/sound",
    "./usr/lib/modules/*/kernel/sound",
    *(
        f"./{usr}lib/modules/*/kernel/drivers/{kind}"
        for usr in ("", "usr/")
        for kind in ("gpu", "hid", "iio", "infiniband", "input", "media", "mtd", "scsi", "staging", "usb")
    ),
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class MissingPackagesError(Exception):
    """What the guests need cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Packages:
    """Where things are."""

    root: Path
    """Of the unpacked packages."""
    kernel: Path
    modules: Path
    """lib/modules/<release>."""
    release: str
    """Of the kernel, as `uname -r` says it."""
    versions: dict[str, str]

    @property
    def busybox(self) -> Path:
        return _first(self.root, "bin/busybox", "usr/bin/busybox")

    def emulator(self) -> list[str]:
        """The beginning of a command line: QEMU with its own loader, libraries and firmware."""
        libraries = [self.root / each for each in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
        loader = _first(self.root, "lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2")
        shared = self.root / "usr/share"
        return [
            *(str(loader), "--library-path", ":".join(map(str, libraries))),
            *(str(self.root / "usr/bin/qemu-system-x86_64"), "-L", str(shared / "qemu"), "-L", str(shared / "seabios")),
        ]


def cache_directory() -> Path:
    """Outside of the project, so that a fresh clone need not download anything."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ccsds-link-guests"


def present(cache: Path | None = None) -> Packages | None:
    """What `fetch` brought before; None: nothing, or another layout of the cache."""
    manifest = (cache or cache_directory()) / "manifest.json"
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if content.pop("layout") != LAYOUT:
        return None
    paths = {name: Path(content[name]) for name in ("root", "kernel", "modules")}
    return Packages(**{**content, **paths}) if all(path.exists() for path in paths.values()) else None


def fetch(cache: Path | None = None) -> Packages:
    """Bring the packages, unless they are there.  Raises MissingPackagesError."""
    cache = cache or cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock"):
        return present(cache) or _build(cache)


def _build(cache: Path) -> Packages:
    for tool in ("apt-get", "apt-cache", "dpkg-deb", "tar"):
        if shutil.which(tool) is None:
            raise MissingPackagesError(f"{tool} is not there: the guests are made of Debian packages")
    apt = _Apt(cache / "apt")
    apt.update()
    version, suite = newest(apt.offers(EMULATOR))
    if _major(version) < OLDEST_EMULATOR:
        apt.add_backports()
        apt.update()
        version, suite = newest(apt.offers(EMULATOR))
    if _major(version) < OLDEST_EMULATOR:
        raise MissingPackagesError(f"the package sources offer {EMULATOR} {version or 'not at all'}; 8 is needed")
    archives = apt.download(suite, [EMULATOR, "busybox-static"], apt.kernel_package())
    root = cache / "root"
    shutil.rmtree(root, ignore_errors=True)
    for archive in archives:
        _unpack(archive, root)
    packages = _found(root, dict(map(_name_and_version, archives)))
    manifest = cache / "manifest.json"
    manifest.with_suffix(".new").write_text(json.dumps({"layout": LAYOUT, **asdict(packages)}, default=str, indent=1))
    manifest.with_suffix(".new").replace(manifest)
    shutil.rmtree(cache / "apt")
    return packages


def _found(root: Path, versions: dict[str, str]) -> Packages:
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise MissingPackagesError(f"{KERNEL} brought {len(kernels)} kernels, not one")
    release = kernels[0].name.removeprefix("vmlinuz-")
    modules = _first(root, f"lib/modules/{release}", f"usr/lib/modules/{release}")
    return Packages(root=root, kernel=kernels[0], modules=modules, release=release, versions=versions)


class _Apt:
    """apt with lists, archives and an empty record of installed packages of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.rmtree(directory, ignore_errors=True)
        for name in ("lists/partial", "cache/archives/partial", "sources", "kernel"):
            (directory / name).mkdir(parents=True)
        (directory / "status").touch()
        self._settings = [
            f"Dir::State::Lists={directory}/lists",
            f"Dir::State::status={directory}/status",
            f"Dir::Cache={directory}/cache",
            "Debug::NoLocking=true",
            "APT::Sandbox::User=",
            "APT::Architecture=amd64",
            "Acquire::Languages=none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
        ]

    def _run(self, tool: str, *arguments: str, directory: Path | None = None) -> str:
        settings = [word for setting in self._settings for word in ("-o", setting)]
        done = subprocess.run(
            [tool, *settings, *arguments],
            cwd=directory or self.directory,
            env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode:
            raise MissingPackagesError(f"{tool} {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def update(self) -> None:
        self._run("apt-get", "update", "--quiet")

    def offers(self, package: str) -> list[tuple[str, str]]:
        """Version and suite of each offer of a package."""
        rows = (line.split("|") for line in self._run("apt-cache", "madison", package).splitlines())
        return [(row[1].strip(), row[2].split()[1].partition("/")[0]) for row in rows if "Packages" in row[2]]

    def add_backports(self) -> None:
        """The backports of the archive that the machine's own release comes from."""
        form = "$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT)"
        rows = self._run("apt-get", "indextargets", "--format", form, "Created-By: Packages").splitlines()
        plain = [row.split() for row in rows if row.split()[2:] and row.split()[1] == row.split()[2]]
        archives = [uri for uri, _, _, component in plain if component == "main"]
        if not archives:
            raise MissingPackagesError("no package source of this machine is a Debian release with a 'main'")
        codename = plain[0][2]
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        own = self.directory / "sources/backports.list"
        own.write_text(f"deb {signed}{archives[0]} {codename}-backports main\n", encoding="utf-8")
        self._settings.append(f"Dir::Etc::sourcelist={own}")
        system = Path("/etc/apt/sources.list")  # apt reads one such file: ours goes on where it ends
        if system.is_file():
            own.write_text(own.read_text() + system.read_text(), encoding="utf-8")

    def kernel_package(self) -> str:
        depends = re.findall(r"Depends: (linux-image-\S+)", self._run("apt-cache", "depends", KERNEL))
        if not depends:
            raise MissingPackagesError(f"the package sources offer no {KERNEL}")
        return str(depends[0])

    def download(self, suite: str, packages: Sequence[str], kernel: str) -> list[Path]:
        """Archives of packages with all that they depend on, and of the kernel alone."""
        choice = ("--download-only", "--yes", "--no-install-recommends", "--target-release", suite)
        self._run("apt-get", "install", *choice, *packages)
        self._run("apt-get", "download", kernel, directory=self.directory / "kernel")
        return sorted(self.directory.glob("cache/archives/*.deb")) + sorted(self.directory.glob("kernel/*.deb"))


def newest(offers: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The offer with the highest first number; the first of equals, as apt sorts them."""
    return max(offers, key=lambda offer: _major(offer[0]), default=("", ""))


def _major(version: str) -> int:
    """Of the program: 10 of 1:10.0.2+ds-2; 0 where there is none."""
    found = re.match(r"(?:\d+:)?(\d+)", version)
    return int(found[1]) if found else 0


def _unpack(archive: Path, root: Path) -> None:
    root.mkdir(exist_ok=True)
    excludes = [f"--exclude={pattern}" for pattern in NOT_UNPACKED]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as octets:
        unpacked = subprocess.run(
            ["tar", "--extract", "--no-same-owner", "--wildcards", *excludes, "-C", str(root)],
            stdin=octets.stdout,
            capture_output=True,
            text=True,
            timeout=300,
        )
    if octets.returncode or unpacked.returncode:
        raise MissingPackagesError(f"{archive.name} cannot be unpacked: {unpacked.stderr.strip()}")


def _name_and_version(archive: Path) -> tuple[str, str]:
    name, version, _ = archive.stem.split("_")
    return name, version.replace("%3a", ":")


def _first(root: Path, *candidates: str) -> Path:
    for candidate in candidates:
        if (root / candidate).exists():
            return root / candidate
    raise MissingPackagesError(f"the packages brought none of {', '.join(candidates)}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One at a time: several test processes may want the same cache."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="download nothing; exit code 1 where they are missing")
    if parser.parse_args().check:
        packages = present()
        if packages is None:
            print(f"not in {cache_directory()}")
            return 1
    else:
        try:
            packages = fetch()
        except MissingPackagesError as error:
            print(f"packages.py: {error}", file=sys.stderr)
            return 1
    for name in (EMULATOR, f"linux-image-{packages.release}"):
        print(f"{name} {packages.versions[name]}")
    print(f"in {packages.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
