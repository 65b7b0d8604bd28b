"""From a fresh clone to a running `ccsds`, with the standard library only.

    python3 bootstrap.py demo             install, then show a noisy downlink replayed
    python3 bootstrap.py test [ARGS]      install for development, then run the tests (ARGS go to pytest)
    python3 bootstrap.py run ARGS         install, then `ccsds ARGS`
    python3 bootstrap.py install          install only, and say where

Everything lands in `.venv` beside this file.  Needed: Python 3.11 or newer and a C compiler.  A Rust
toolchain that is missing or too old is brought.  What is done already is not done again.
"""

# Kept readable for Python 3.6, so that an old one can say what it needs.
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "bootstrap.json")
LOG = os.path.join(ROOT, "build", "bootstrap.log")
OLDEST_PYTHON = (3, 11)
OLDEST_RUST = (1, 89)  # AVX-512 and GFNI intrinsics
TAIL_LINES = 30


class CannotError(Exception):
    """One sentence that says what is missing and what to do."""


# -- Python ------------------------------------------------------------------------------------------------------------


def find_python():
    """A Python new enough and able to make environments: this one, or another on PATH."""
    names = [sys.executable] if sys.executable else []
    names += ["python3.{}".format(minor) for minor in (14, 13, 12, 11)] + ["python3"]
    without_venv = None
    for name in names:
        path = name if os.path.isabs(name) else shutil.which(name)
        if not path:
            continue
        answer = output_of(
            [path, "-c", "import sys; print(*sys.version_info[:2])\nimport venv, ensurepip; print(True)"]
        )
        found = re.match(r"(\d+) (\d+)\n(True)?", answer)
        if found and (int(found.group(1)), int(found.group(2))) >= OLDEST_PYTHON:
            if found.group(3):
                return path
            without_venv = without_venv or path
    if without_venv:
        return with_venv_module(without_venv)
    raise CannotError("Python 3.11 or newer is needed, and this is {}.{}; install one.".format(*sys.version_info[:2]))


def with_venv_module(python):
    """Debian keeps the part of Python that makes environments in a package of its own."""
    version = output_of([python, "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"]).strip()
    package = "python{}-venv".format(version)
    if apt_candidate(package):
        say("bringing {} from the system's package manager".format(package))
        apt_install([package])
        return python
    raise CannotError("{} cannot make virtual environments; install {}.".format(python, package))


def make_environment(python):
    if "True" in output_of([PYTHON, "-c", "import sys, pip; print(sys.version_info >= {})".format(OLDEST_PYTHON)]):
        return
    step("making .venv", [python, "-m", "venv", "--clear", VENV])


# -- Rust and C --------------------------------------------------------------------------------------------------------


def ensure_compilers():
    """PATH and settings under which a new enough Rust and a linker are found; brings Rust where it is missing."""
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise CannotError(
            "A C compiler is needed to link the native modules; install one (Debian: apt-get install gcc)."
        )
    folder = find_rust()
    if folder is None:
        folder = bring_rust()
    settings = {"PATH": folder + os.pathsep + os.environ.get("PATH", "")}
    if rustup_beside(folder) and not good_rust(folder):
        settings["RUSTUP_TOOLCHAIN"] = "stable"
    if not shutil.which("cc"):
        settings["RUSTFLAGS"] = "-C linker=" + ("gcc" if shutil.which("gcc") else "clang")
    return settings


def rust_folders():
    home = os.environ.get("CARGO_HOME") or os.path.join(os.path.expanduser("~"), ".cargo")
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]
    return [*folders, os.path.join(home, "bin"), "/usr/local/bin", "/usr/bin"]


def find_rust():
    return next((folder for folder in rust_folders() if good_rust(folder)), None)


def good_rust(folder, toolchain=None):
    """True where cargo and rustc in `folder` both run and are new enough."""
    extra = {"RUSTUP_TOOLCHAIN": toolchain} if toolchain else {}
    for name in ("cargo", "rustc"):
        path = os.path.join(folder, name)
        if not os.access(path, os.X_OK):
            return False
        found = re.search(r"^(?:cargo|rustc) (\d+)\.(\d+)", output_of([path, "--version"], extra))
        if not found or (int(found.group(1)), int(found.group(2))) < OLDEST_RUST:
            return False
    return True


def rustup_beside(folder):
    return os.access(os.path.join(folder, "rustup"), os.X_OK)


def bring_rust():
    """Install a Rust toolchain with what this machine has; return the folder that it is found in."""
    tried = []
    for way in (with_rustup, with_apt_compiler, with_apt_rustup):
        try:
            folder = way()
        except CannotError as error:
            tried.append(str(error))
            continue
        if folder:
            return folder
    for line in tried:
        say(line)
    raise CannotError(
        "Rust {}.{} or newer is needed, is not here and could not be brought; "
        "install it (https://rustup.rs) and run this again.".format(*OLDEST_RUST)
    )


def with_rustup():
    for folder in rust_folders():
        if rustup_beside(folder):
            say("bringing the stable Rust toolchain with rustup (Rust 1.89 or newer is needed)")
            rustup = os.path.join(folder, "rustup")
            step("rustup", [rustup, "toolchain", "install", "stable", "--profile", "minimal", "--no-self-update"])
            if good_rust(folder, "stable"):
                return folder
            raise CannotError("rustup brought a Rust that is too old")
    return None


def with_apt_compiler():
    for packages in (["cargo-web", "rustc-web"], ["cargo", "rustc"]):
        if apt_candidate(packages[1], OLDEST_RUST):
            say("bringing Rust from the system's package manager ({}; 1.89 or newer is needed)".format(packages[1]))
            apt_install(packages)
            return find_rust()
    return None


def with_apt_rustup():
    if not apt_candidate("rustup"):
        return None
    say("bringing rustup from the system's package manager")
    apt_install(["rustup"])
    return with_rustup()


# -- apt ---------------------------------------------------------------------------------------------------------------


def apt_candidate(package, oldest=(0, 0)):
    """True where apt can install `package`, and in a version that is new enough."""
    if not shutil.which("apt-cache") or as_root() is None:
        return False
    for refresh in (False, True):
        if refresh and not apt_refreshed():
            return False
        found = re.search(
            r"Candidate: (?:\d+:)?(\d+)\.(\d+)", output_of(["apt-cache", "policy", package], {"LC_ALL": "C"})
        )
        if found and (int(found.group(1)), int(found.group(2))) >= oldest:
            return True
    return False


_refreshed = []


def apt_refreshed():
    """The package lists are read again, once at most: those of a fresh machine are empty or old."""
    if not _refreshed:
        try:
            step("reading package lists", [*as_root(), "apt-get", "update", "-q"])
            _refreshed.append(True)
        except CannotError:
            _refreshed.append(False)
    return _refreshed[0]


def as_root():
    """The words that go before a command for root: none, sudo that asks nothing, or None where root is out of reach."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.call(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) == 0:
        return ["sudo", "-n"]
    return None


def apt_install(packages):
    command = [*as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q"]
    step("apt-get install " + " ".join(packages), [*command, "--no-install-recommends", *packages])


# -- the package -------------------------------------------------------------------------------------------------------


def install(python, mode):
    """Bring .venv up to date for `mode`, "use" or "test"; the second serves the first too."""
    stamp = read_stamp()
    for held in ("test", mode):
        if stamp.get("mode") == held and stamp.get("fingerprint") == fingerprint(held) and works():
            return
    make_environment(python)
    settings = ensure_compilers()
    with contextlib.suppress(FileNotFoundError):
        os.remove(STAMP)
    forget_older_builds()
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    step("installing build tools", [*pip, *build_requirements()], settings)
    target = [ROOT] if mode == "use" else ["--config-settings", "editable_mode=compat", "-e", ROOT + "[test]"]
    step("building and installing ccsds", [*pip, "--no-build-isolation", *target], settings)
    with open(STAMP, "w") as file:
        json.dump({"mode": mode, "fingerprint": fingerprint(mode)}, file)


def forget_older_builds():
    """setuptools packs whatever an older build left behind, modules that are gone included."""
    build = os.path.join(ROOT, "build")
    for name in os.listdir(build) if os.path.isdir(build) else []:
        if name.startswith(("lib", "bdist")):
            shutil.rmtree(os.path.join(build, name))


def works():
    return "True" in output_of([PYTHON, "-P", "-c", "import ccsds._native, netmap_io._native; print(True)"])


def build_requirements():
    script = "import json, tomllib; print(json.dumps(tomllib.load(open(0, 'rb'))['build-system']['requires']))"
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return json.loads(subprocess.check_output([PYTHON, "-c", script], stdin=file).decode())


def read_stamp():
    try:
        with open(STAMP) as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return {}


def fingerprint(mode):
    """What an install depends on: an editable one reads the Python sources where they are."""
    digest = hashlib.sha256(repr((ROOT, mode)).encode())
    digest.update(read_octets(os.path.join(ROOT, "pyproject.toml")))
    for folder in ["native"] if mode == "test" else ["native", "ccsds", "netmap_io"]:
        for path in sorted(sources(os.path.join(ROOT, folder))):
            digest.update(path.encode() + b"\0" + read_octets(path))
    return digest.hexdigest()


def sources(folder):
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("target", "__pycache__")]
        for name in files:
            if not name.endswith((".so", ".pyc")):
                yield os.path.join(at, name)


def read_octets(path):
    with open(path, "rb") as file:
        return file.read()


# -- running things ----------------------------------------------------------------------------------------------------


def say(message):
    print("bootstrap: " + message, file=sys.stderr, flush=True)


def clean_environment(extra=None):
    """The environment without what would lead Python or pip away from .venv."""
    led_away = (
        "PYTHONHOME",
        "PYTHONPATH",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
    )
    return dict({key: value for key, value in os.environ.items() if key not in led_away}, **(extra or {}))


def output_of(command, extra=None):
    """Standard output, or nothing where the command cannot be run; a failure only loses what it did not print."""
    try:
        done = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(extra),
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def step(title, command, extra=None):
    """Run quietly, showing that something goes on; on failure show the end of what it said."""
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    terminal = sys.stderr.isatty()
    begin = time.monotonic()
    with open(LOG, "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env=clean_environment(extra))  # fmt: skip
        told = begin
        while process.poll() is None:
            time.sleep(0.1)
            now = time.monotonic()
            if terminal:
                print("\rbootstrap: {} {:.0f} s".format(title, now - begin), end="", file=sys.stderr, flush=True)
            elif now - told > 30:
                told = now
                say("{}, {:.0f} s so far".format(title, now - begin))
    seconds = time.monotonic() - begin
    if terminal:
        print("\r\033[K", end="", file=sys.stderr)
    if process.returncode:
        tail = read_octets(LOG).decode(errors="replace").splitlines()[-TAIL_LINES:]
        print("\n".join(tail), file=sys.stderr)
        raise CannotError("{} failed after {:.0f} s; the lines above are the end of {}".format(title, seconds, LOG))
    say("{}: {:.0f} s".format(title, seconds))


def start(command, folder=None):
    """Become `command`, so that signals and exit codes are its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    if folder:
        os.chdir(folder)
    os.execve(command[0], command, clean_environment())


def test_command(arguments):
    """pytest on all cores, unless the caller wants a say in that or a debugger."""
    own = any(argument.startswith(("-n", "--numprocesses", "--pdb", "--trace", "-p")) for argument in arguments)
    return [PYTHON, "-m", "pytest", *([] if own else ["-n", "auto"]), *arguments]


def main(arguments):
    action, rest = (arguments[0], arguments[1:]) if arguments else ("help", [])
    if action in ("help", "-h", "--help"):
        print(__doc__.strip())
        return 0
    if action not in ("demo", "test", "run", "install"):
        say("there is no '{}'; it is demo, test, run or install (see 'bootstrap.py --help')".format(action))
        return 2
    try:
        install(find_python(), "test" if action == "test" else "use")
    except CannotError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    ccsds = [PYTHON, os.path.join(VENV, "bin", "ccsds")]
    if action == "test":
        start(test_command(rest), ROOT)
    elif action == "install":
        print(ccsds[1])
    else:
        start([*ccsds, *(["demo"] if action == "demo" else []), *rest])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
