"""What a new user does first, in an environment that holds the wheel and one extra: `python -I tools/smoke.py EXTRA`.

It runs in an empty folder that holds a saved network in `network/`. It needs only the standard library, and finds
`caser` beside the Python that runs it. The first command that goes wrong ends it, with what that command printed.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

CASER = Path(sys.executable).with_name("caser.exe" if os.name == "nt" else "caser")
MISSING_DEPENDENCY = 8
"""The exit code of caser where an extra is missing."""
LONGEST_SECONDS = 300
"""For one command."""


def run(*words: str, code: int = 0, program: tuple[str, ...] = (str(CASER),)) -> str:
    """Run a command and return what it printed.

    words    the words after the name of the program
    code     the exit code that it must end with
    program  the program; by default `caser` as the wheel installs it

    Raises SystemExit, with the output, for another exit code.
    """
    home = {"HOME": str(Path.cwd()), "OMP_WAIT_POLICY": "PASSIVE", "NO_COLOR": "1"}
    done = subprocess.run(
        [*program, *words],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_SECONDS,
    )
    if done.returncode != code:
        raise SystemExit(f"{' '.join([*program, *words])} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(holds: bool, what: str) -> None:
    """End with a sentence unless something holds."""
    if not holds:
        raise SystemExit(f"smoke test: {what}")


def core() -> None:
    """Use the wheel without any extra: its names, the road from a log to an answer, its files that are no code."""
    caser = import_module("caser")
    expect(Path(caser.__file__ or "").is_relative_to(sys.prefix), f"caser is not the installed one: {caser.__file__}")
    expect(Path(caser.__file__ or "").with_name("py.typed").is_file(), "py.typed is missing")
    module = (sys.executable, "-m", "caser")
    versions = {run("--version").strip(), run("--version", program=module).strip(), version("caser")}
    expect(versions == {caser.__version__}, f"the version must be the same everywhere; got {sorted(versions)}")
    run("--install-completion", "--shell", "bash", "--output", "caser.bash")
    if bash := shutil.which("bash"):
        run("-n", "caser.bash", program=(bash,))
    run("data", "simulate", "chain", "--out", "events.csv", "--num-users", "60", "--length", "20", "--seed", "1")
    run("data", "describe", "events.csv")
    run("train", "events.csv", "--model", "markov", "--out", "markov")
    run("evaluate", "markov")
    answer = json.loads(run("recommend", "markov", "--user", "1", "--k", "3", "--json"))
    expect(len(answer["answers"][0]["items"]) == 3, f"three items must be recommended; got {answer}")
    expect("hidasi2016gru4rec" in run("cite", "gru4rec"), "the bibliography is missing")
    if find_spec("torch") is None:
        refusal = run("train", "events.csv", "--model", "caser", "--out", "caser", code=MISSING_DEPENDENCY)
        expect("[train]" in refusal, f"a missing extra must be named; got {refusal}")


def trains() -> None:
    """Train a network, and answer from it."""
    run("train", "events.csv", "--model", "caser", "--epochs", "1", "--patience", "0", "--d", "8", "--out", "caser")
    run("recommend", "caser", "--user", "1")


def tunes() -> None:
    """Tune a model that counts, for some seconds."""
    run("train", "events.csv", "--model", "count-knn", "--budget", "3s", "--out", "tuned")


def reports() -> None:
    """Write the page of a comparison, and its figures."""
    run("compare", "events.csv", "--models", "markov", "--models", "popularity", "--jobs", "1", "--out", "study")
    expect(Path("study/report.html").is_file(), "the page of the report is missing")
    expect(any(Path("study").rglob("*.png")), "the figures of the report are missing")


def studies() -> None:
    """Do the work of all three extras."""
    for probe in (trains, tunes, reports):
        probe()


def indexes() -> None:
    """Add an index to a saved network."""
    run("index", "network")


def exports() -> None:
    """Export a saved network."""
    run("export", "network", "--onnx")


def serves() -> None:
    """Serve, answer once, send the page and a file of it, and stop when asked."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([str(CASER), "serve", "markov", "--port", str(port)])
    try:
        deadline = time.monotonic() + LONGEST_SECONDS
        while ask(port, "GET", "/healthz") is None:
            expect(server.poll() is None and time.monotonic() < deadline, "the service does not begin to answer")
            time.sleep(0.2)
        answer = ask(port, "POST", "/v1/recommend", json.dumps({"history": [2], "k": 3}))
        expect(
            answer is not None and len(json.loads(answer)["items"]) == 3, f"three items are expected; got {answer!r}"
        )
        expect(ask(port, "GET", "/") is not None, "the page is missing")
        server.send_signal(signal.SIGTERM)
        expect(server.wait(LONGEST_SECONDS) == 0, f"the service must end with 0 when asked; got {server.returncode}")
    finally:
        server.kill()
        server.wait()


def ask(port: int, method: str, path: str, body: str | None = None) -> bytes | None:
    """Return what a service on this machine answers, or None where it does not, or not with success.

    port    its port
    method  such as "GET"
    path    such as "/healthz"
    body    a JSON document; None for none
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_SECONDS)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.read() if answer.status == http.client.OK else None
    except ConnectionError:
        return None
    finally:
        connection.close()


def tracks(place: str) -> Callable[[], None]:
    """Make a probe that sends numbers to a tracker.

    place  such as tensorboard:FOLDER
    """

    def probe() -> None:
        module = import_module("caser.fitting.tracking")
        kind, where = module.parse_place(place)
        sink = module.SINKS[kind](where, "smoke")
        sink.describe({"model": "markov"})
        sink.log({"hit@10": 0.5}, 1)
        sink.close(failed=False)

    return probe


def reads_sql() -> None:
    """Prepare a log that a query finds in a database."""
    import sqlite3

    base = sqlite3.connect("log.db")
    base.execute("create table log (user_id integer, item_id integer, timestamp integer)")
    rows = [(user, 1 + (user + step) % 9, step) for user in range(30) for step in range(9)]
    base.executemany("insert into log values (?, ?, ?)", rows)
    base.commit()
    base.close()
    query = ["--sql", "select * from log", "--connection", "sqlite:///log.db"]
    run("data", "prepare", *query, "--out", "prepared")
    run("data", "describe", "prepared")


def stores() -> None:
    """Load the driver, and its library that talks to a server."""
    psycopg = import_module("psycopg")
    import_module("caser.service.events.postgres")
    refused = ""
    try:
        psycopg.connect("postgresql://nobody@127.0.0.1:1/none", connect_timeout=5)
    except psycopg.OperationalError as error:
        refused = str(error)
    expect("127.0.0.1" in refused, f"a server that is not there must be refused; got {refused!r}")


def scales() -> None:
    """Answer for every user with Ray."""
    run("recommend", "markov", "--all", "--engine", "ray", "--out", "answers")


PROBES: Mapping[str, Callable[[], None]] = {
    "none": lambda: None,
    "train": trains,
    "tune": tunes,
    "report": reports,
    "study": studies,
    "ann": indexes,
    "serve": serves,
    "postgres": stores,
    "scale": scales,
    "export": exports,
    "tensorboard": tracks("tensorboard:board"),
    "mlflow": tracks("mlflow:sqlite:///mlflow.db"),
    "sql": reads_sql,
}
"""What each extra is for, done once."""


if __name__ == "__main__":
    core()
    PROBES[sys.argv[1]]()
