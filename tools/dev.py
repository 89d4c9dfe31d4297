#!/usr/bin/env python3
"""The commands of a developer. This script needs nothing but Python's standard library.

    python tools/dev.py setup [EXTRA]   make .venv and install the pinned dependencies (by default the extra "study")
    python tools/dev.py demo            train, judge and use Caser on MovieLens-100K
    python tools/dev.py demo-cluster    train two replicas and answer on a Ray cluster of this machine, and compare
    python tools/dev.py serve           serve the demo's run on http://127.0.0.1:8000, with a page; --port N
    python tools/dev.py test            run the tests (about 10 minutes on two cores); --slow adds the slow ones
    python tools/dev.py check           check lint, format, types and architecture
    python tools/dev.py docs            build the documentation site, and open it where there is a screen
    python tools/dev.py check-deploy    check the files of deploy/ against the schemas of Compose and Kubernetes
    python tools/dev.py package [EXTRA] build the package, look into it, and try the wheel with an extra, or with all
    python tools/dev.py versions [NAME] run tests on other Pythons, and with the lowest and the newest packages
    python tools/dev.py audit-packages  ask an advisory database about every installed package
    python tools/dev.py bench [NAME]    measure speed, or reproduce a published table; --list shows all names
    python tools/dev.py bench-serve     measure the service: cost of an answer, behaviour under load, kept promises
    python tools/dev.py fuzz [READER]   try a reader of files with inputs that atheris finds; --seconds N
    python tools/dev.py mutate          put small faults into the code and count those that a test catches (--help)
    python tools/dev.py clean           remove .venv and the caches of the tools

Further words are passed on: `python tools/dev.py test -k tape`. Each verb first makes sure that .venv contains what the
verb needs. If nothing changed since the last time, that is instant and needs no network. The folder .venv belongs to
this script: if a set-up was not finished, the next one makes the folder again from scratch.

This file keeps to the syntax of Python 3.8, so that an old Python can say what is missing. It writes inside the
checkout only, and names no package index: pip's own configuration decides where packages come from.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # Python looks beside a script for what it imports, not above it

from tools import advisories, installing, package, pins  # noqa: E402
from tools.installing import SetupError  # noqa: E402

ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST_PYTHON = (3, 11)
NEEDED_DISK_GB = 3
DEMO_RUN = "runs/demo"
# The tests that belong to `check`: what may import what, and which uses of the library a type checker accepts.
CHECKED_TESTS = ("tests/architecture", "tests/typing")
# The platforms for which torch publishes builds; Linux with musl has none.
TORCH_PLATFORMS = {("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Windows", "AMD64")}


def main(words: Sequence[str]) -> int:
    """Carry out one verb and return the exit status.

    words  the verb and its further words

    >>> main(["dance"])  # doctest: +ELLIPSIS
    The commands of a developer...
    2
    """
    if not words or words[0] not in VERBS:
        print(__doc__)
        return 2
    try:
        return VERBS[words[0]](words[1:])
    except (SetupError, pins.PinError, package.PackageError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; type the same command to start again.", file=sys.stderr)
        return 130


def setup(words: Sequence[str]) -> int:
    """Install the extra that is named, or else the one that the demo needs."""
    install(words[0] if words else "study")
    print(f"Ready; try: {PYTHON.relative_to(ROOT)} -m caser --help")
    return 0


def demo(words: Sequence[str]) -> int:
    """Run the demo."""
    install("study")
    return run("-m", "caser", "demo", *words)


def demo_cluster(words: Sequence[str]) -> int:
    """Run the demo of a cluster, which is started on this machine and ends with it."""
    refuse_further_words("demo-cluster", words)
    install("train")
    install("scale")
    return become("-m", "tools.demo_cluster")


def serve(words: Sequence[str]) -> int:
    """Serve the run that the demo has trained."""
    if not (ROOT / DEMO_RUN).is_dir():
        raise SetupError(f"serve needs the demo's run; {DEMO_RUN} does not exist; type: python tools/dev.py demo")
    host, port = option(words, "--host", "127.0.0.1"), option(words, "--port", "8000")
    if port.isdigit() and port != "0":
        check_port(host, int(port))
    install("serve")
    if port != "0" and not option(words, "--uds", ""):
        print(f"Open http://{f'[{host}]' if ':' in host else host}:{port}/ in a browser; Ctrl-C stops it.", flush=True)
    return become("-m", "caser", "serve", DEMO_RUN, *words)


def test(words: Sequence[str]) -> int:
    """Run the tests in up to four processes; about 10 minutes on two cores."""
    install("dev")
    workers = min(4, os.cpu_count() or 1)
    return run("-m", "pytest", "-n", str(workers), *words)


def check(words: Sequence[str]) -> int:
    """Run every check, even after one has failed."""
    refuse_further_words("check", words)
    install("dev")
    folders = [folder for folder in CHECKED_TESTS if (ROOT / folder).is_dir()]
    statuses = [
        run("-m", "ruff", "check"),
        run("-m", "ruff", "format", "--check"),
        run("-m", "mypy"),
        run("-m", "pytest", "-q", "--slow", *folders),
    ]
    return max(statuses)


def docs(words: Sequence[str]) -> int:
    """Build the documentation site, and show it in a browser where there is a screen."""
    refuse_further_words("docs", words)
    install("dev")  # the reference is written from the package: its names, its commands and its routes
    zensical = install_tool("docs").parent / "zensical"
    status = run("-m", "tools.site")
    if status == 0:
        status = subprocess.run([str(zensical), "build", "--strict", "--clean"], cwd=ROOT, check=False).returncode
    page = ROOT / "build" / "site" / "index.html"
    if status == 0:
        print(f"The site is in {page.parent.relative_to(ROOT)}; its first page is {page}")
        if has_screen():
            webbrowser.open(page.as_uri())
    return status


def has_screen() -> bool:
    """Return whether a browser could show anything: not in CI, and not on a machine without a screen."""
    if os.environ.get("CI"):
        return False
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def check_deploy(words: Sequence[str]) -> int:
    """Check the files that Compose and Kubernetes read, with programs that live in an environment of their own."""
    refuse_further_words("check-deploy", words)
    python = str(install_tool("deploy"))
    compose = [python, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]
    kubernetes = [python, "-m", "kubernetes_validate", "--strict", "deploy/kubernetes/caser.yaml"]
    return max(subprocess.run(words, cwd=ROOT, check=False).returncode for words in (compose, kubernetes))


def check_package(words: Sequence[str]) -> int:
    """Build the package as a release does, or check with --tag that a tag may be released."""
    tag = option(words, "--tag", "")
    if tag:
        package.check_release(tag, ROOT, datetime.date.today())
        return 0
    package.check(install_tool("package"), words, ROOT)
    return 0


def versions(words: Sequence[str]) -> int:
    """Run sessions of noxfile.py: those that are named before `--`, or all. The words after `--` go to the session."""
    named = list(words[: words.index("--")] if "--" in words else words)
    rest = list(words[len(named) :])
    session = ["--session", *named] if named else []
    return subprocess.run(
        [str(install_tool("package")), "-m", "nox", *session, *rest], cwd=ROOT, check=False
    ).returncode


def audit_packages(words: Sequence[str]) -> int:
    """Ask an advisory database about every package of .venv, with a program that lives in an environment of its own."""
    refuse_further_words("audit-packages", words)
    install("dev")
    return advisories.report(PYTHON, install_tool("audit"), ROOT)


def bench(words: Sequence[str]) -> int:
    """Run the named benchmarks, or all benchmarks of speed."""
    install("dev")
    return run("-m", "benchmarks", *words)


def bench_serve(words: Sequence[str]) -> int:
    """Measure the service."""
    refuse_further_words("bench-serve", words)
    return bench(["serving", "serving_load", "serving_fuzz"])


def fuzz(words: Sequence[str]) -> int:
    """List the readers, or try one of them with inputs that atheris finds; it has an environment of its own."""
    install("dev")
    folder = install_tool("fuzz").parent.parent if words else Path(os.devnull)
    paths = [str(ROOT), *map(str, folder.glob("lib/python*/site-packages")), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return run("tools/fuzz.py", *words)


def mutate(words: Sequence[str]) -> int:
    """Measure what the tests see, with the tool that makes faults in an environment of its own."""
    install("dev")
    return run("tools/mutate.py", "--python", str(install_tool("mutation")), *words)


def clean(words: Sequence[str]) -> int:
    """Remove what the other verbs made, except run folders and data."""
    refuse_further_words("clean", words)
    for name in (".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "build", "dist"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    return 0


VERBS = {
    "setup": setup,
    "demo": demo,
    "demo-cluster": demo_cluster,
    "serve": serve,
    "test": test,
    "check": check,
    "docs": docs,
    "check-deploy": check_deploy,
    "package": check_package,
    "versions": versions,
    "audit-packages": audit_packages,
    "bench": bench,
    "bench-serve": bench_serve,
    "fuzz": fuzz,
    "mutate": mutate,
    "clean": clean,
}


def run(*words: str) -> int:
    """Run the environment's Python in the checkout and return its exit status."""
    # Without this, threads that wait keep a core busy and slow down every other process.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    return subprocess.run([str(PYTHON), *words], cwd=ROOT, env=environment, check=False).returncode


def become(*words: str) -> int:
    """Run the environment's Python in place of this process, so that a signal to this process reaches it.

    Windows cannot do so: there, it runs as a child. Returns its exit status.
    """
    if os.name == "nt":
        return run(*words)
    os.chdir(ROOT)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return os.execv(str(PYTHON), [str(PYTHON), *words])  # noqa: S606 (no shell is wanted)


def option(words: Sequence[str], name: str, default: str) -> str:
    """Return the value of an option among words, or its default.

    >>> option(["--port", "8001"], "--port", "8000"), option(["--port=8001"], "--port", "8000")
    ('8001', '8001')
    """
    for place, word in enumerate(words):
        if word == name:
            return words[place + 1] if place + 1 < len(words) else default
        if word.startswith(f"{name}="):
            return word[len(name) + 1 :]
    return default


def check_port(host: str, port: int) -> None:
    """Raise SetupError for a port that another program has taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":  # old connections to a program that has ended take no port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return  # `caser serve` says what is wrong
    else:
        return
    raise SetupError(
        f"serve needs a free port; a program has taken port {port} of {host}, perhaps an earlier `serve`; stop it, or "
        f"type: make serve PORT={port + 1} (or: python tools/dev.py serve --port {port + 1})"
    )


def refuse_further_words(verb: str, words: Sequence[str]) -> None:
    """Raise SetupError if words follow a verb that takes none, instead of ignoring them."""
    if words:
        raise SetupError(f"{verb} takes no further words; got {' '.join(words)!r}; type: python tools/dev.py {verb}")


def install(extra: str) -> None:
    """Install an extra into .venv as pyproject.toml and constraints.txt ask for, unless it is installed already.

    extra  a name in pyproject.toml; "dev" contains all others

    Every finished installation leaves a stamp, a file with the digest of what was asked for. Raises SetupError if the
    installation is impossible or fails.
    """
    # Nothing to do if the extra, or `dev`, was installed from the same requirements.
    check_python(sys.version_info[:2])
    wanted = digest(ROOT)
    stamps = {path: path.read_text() for path in ENVIRONMENT.glob("caser-*.stamp")}
    if PYTHON.exists() and wanted in (stamps.get(stamp_path(extra)), stamps.get(stamp_path("dev"))):
        return
    # Find out early what would make the installation fail.
    if installing.needs_torch(pins.requirements(extra, ROOT)):
        check_machine(platform.system(), platform.machine(), platform.libc_ver()[0])
    if not (stamps and environment_works()):
        check_folder(ROOT, shutil.disk_usage(ROOT).free)
        announce(extra)
        installing.run_quietly("Making .venv", [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], ROOT)
        stamps = {}
    # There is no stamp while pip works: if pip is killed, the next installation starts from scratch.
    for path in stamps:
        path.unlink()
    try:
        installing.install_pinned(PYTHON, [extra, "build"], ROOT)
        installing.install_project(PYTHON, ROOT)
        stamps[stamp_path(extra)] = wanted
    except KeyboardInterrupt:
        stamps.clear()
        raise
    finally:  # if pip failed by itself, it has changed nothing, and the old stamps are still true
        for path, text in stamps.items():
            path.write_text(text)


def install_tool(group: str) -> Path:
    """Install a dependency group into an environment of its own inside .venv, and return the Python of that.

    group  a name in pyproject.toml

    Nothing is done if its stamp says that the same was installed already. Raises SetupError if the installation fails.
    """
    folder, wanted = ENVIRONMENT / group, digest(ROOT)
    python, stamp = folder / PYTHON.relative_to(ENVIRONMENT), folder / "caser.stamp"
    if not (python.exists() and stamp.exists() and stamp.read_text() == wanted):
        installing.run_quietly(f"Making .venv/{group}", [sys.executable, "-m", "venv", "--clear", str(folder)], ROOT)
        installing.install_pinned(python, [group], ROOT)
        stamp.write_text(wanted)
    return python


def digest(root: Path) -> str:
    """Hash everything that decides what an installation contains: its path, the requirements and the pins."""
    settings = pins.project_settings(root)
    tables = [settings["build-system"], settings["project"], settings["dependency-groups"], settings["tool"]["hatch"]]
    text = (root / "constraints.txt").read_text(encoding="utf-8")
    return hashlib.sha256(json.dumps([str(root), tables, text], sort_keys=True).encode()).hexdigest()


def stamp_path(extra: str) -> Path:
    """Return the file in which a finished installation of an extra keeps its digest."""
    return ENVIRONMENT / f"caser-{extra}.stamp"


def environment_works() -> bool:
    """Return whether .venv has a Python that runs (the one it was made from may be gone) and is new enough."""
    code = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", code], check=False).returncode == 0


def announce(extra: str) -> None:
    """Print how much will be downloaded."""
    print(
        f"Setting up {ENVIRONMENT} with caser[{extra}].\n"
        "If that includes torch, it downloads about 0.4 GB with a build for CPUs, and about 3 GB where pip finds only\n"
        "a CUDA build (Linux, as a rule). PIP_FIND_LINKS can name a folder with a build for CPUs; allow it first with\n"
        "python tools/pins.py --renew WHEEL. pip downloads nothing that it has cached.",
        flush=True,
    )


def check_python(version: Sequence[int]) -> None:
    """Raise SetupError for a Python that is too old, or that cannot make virtual environments."""
    if tuple(version) < OLDEST_PYTHON:
        raise SetupError(
            f"caser needs Python 3.11 or newer; this is {version[0]}.{version[1]} ({sys.executable}); "
            f"install a newer one and type: python3.11 {sys.argv[0]} setup (or: make setup PYTHON=python3.11)"
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                f"Python needs its module {module} to make .venv; {sys.executable} does not have it; "
                "on Debian and Ubuntu type: sudo apt install python3-venv"
            )


def check_machine(system: str, machine: str, libc: str) -> None:
    """Raise SetupError for a platform for which there is no build of torch."""
    if (system, machine) not in TORCH_PLATFORMS or (system == "Linux" and libc != "glibc"):
        raise SetupError(
            "torch has builds for Linux with glibc (x86_64, aarch64), macOS (arm64) and Windows (AMD64); "
            f"this is {' '.join([system, machine, libc]).strip()}; without torch, caser can still read logs and "
            "answer; type: pip install ."
        )


def check_folder(root: Path, free_bytes: int) -> None:
    """Raise SetupError for a checkout that cannot be written to, or a disk with too little space."""
    if not os.access(root, os.W_OK):
        raise SetupError(f"The checkout must be writable; {root} is not; clone it into a folder of your own")
    if free_bytes < NEEDED_DISK_GB * 10**9:
        raise SetupError(
            f"Set-up needs {NEEDED_DISK_GB} GB of disk; {root} has {free_bytes / 10**9:.1f} GB left; "
            "make room (pip cache purge may help) and run the same command again"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
