"""The demo of a cluster: a local Ray cluster trains two replicas on MovieLens-100K and answers for all users.

Run it with `python tools/dev.py demo-cluster`, which installs what it needs. It takes less than three minutes.
The answers are compared with those of one process without a cluster. The cluster ends with the command, whatever
happens in between: after an error, Ctrl-C or SIGTERM too. What is written lies in runs/demo-cluster.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from caser.system.ray_cluster import ADDRESS, ray_cluster

WORKERS = 2
EPOCHS = 2
FOLDER = Path("runs/demo-cluster")

# One thread in every process: then the scores of all processes are the same bits.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}


def main() -> int:
    """Run all steps; return the exit status: 0 if the answers agree."""
    began = time.monotonic()
    os.environ |= ENVIRONMENT
    os.environ.pop(ADDRESS, None)
    FOLDER.mkdir(parents=True, exist_ok=True)
    address = ""
    try:
        with ray_cluster("the demo of a cluster", has_cpus=WORKERS) as ray:
            address = ray.get_runtime_context().gcs_address
            say(f"Started a Ray cluster with {WORKERS} CPUs at {address}. Only this command knows its secret.")
            status = steps(address)
    except (KeyboardInterrupt, SystemExit) as stop:
        say("Interrupted.")
        status = 130 if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)
    except subprocess.CalledProcessError as error:
        say(f"A step failed with exit status {error.returncode}; its last line says why.")
        status = 1
    if address:
        say("The cluster has ended." if is_gone(address) else f"Something still answers at {address}.")
    say(f"Took {time.monotonic() - began:.0f} s; the files are in {FOLDER}.")
    return status


def steps(address: str) -> int:
    """Prepare, train, judge and answer on a cluster, and compare the answers.

    address  of the cluster
    """
    log, run, parts, alone = (FOLDER / name for name in ("log", "run", "answers", "answers-of-one-machine.parquet"))
    cluster = {ADDRESS: address}
    prepared = caser("data", "prepare", source(), "--out", log, "--shards", WORKERS)
    say(f"Prepared a log of {prepared['interactions']:,} interactions in {prepared['shards']} shards (on one machine).")
    words = ("--model", "caser", "--no-choose", "--d", 16, "--epochs", EPOCHS, "--workers", WORKERS, "--engine", "ray")
    trained = caser("train", log, "--out", run, *words, **cluster)
    say(f"Trained {WORKERS} replicas of Caser for {trained['epochs']} epochs as actors of the cluster.")
    judged = caser("evaluate", run)
    ndcg = {name: f"{metrics['ndcg@10']['value']:.3f}" for name, metrics in judged["models"].items()}
    say(f"Judged the run on its test part; ndcg@10: {', '.join(f'{name} {value}' for name, value in ndcg.items())}.")
    answered = caser("recommend", run, "--all", "--engine", "ray", "--out", parts, **cluster)
    files = sorted(parts.iterdir())
    say(f"Answered for {answered['users']:,} users in {len(files)} tasks of the cluster, each with a file of its own.")
    caser("recommend", run, "--all", "--out", alone)
    if not pl.read_parquet(files).equals(pl.read_parquet(alone)):
        say("One process without a cluster gives other answers. That must not be: please report it.")
        return 1
    say("One process without a cluster gives the same answers: every row, score and rank.")
    return 0


def source() -> str:
    """Return MovieLens-100K as a file; a simulated log if it cannot be fetched."""
    try:
        return str(caser("data", "fetch", "ml-100k")["path"])
    except subprocess.CalledProcessError:
        say("MovieLens-100K could not be fetched; the log is simulated instead.")
        path = FOLDER / "simulated.csv"
        caser("data", "simulate", "union", "--out", path)
        return str(path)


def caser(*words: object, **variables: str) -> dict[str, Any]:
    """Run a command, show what it says on stderr, and return its JSON document.

    words  of the command        variables  of its environment
    """
    command = [sys.executable, "-m", "caser", *map(str, words), "--json"]
    say(f"$ caser {' '.join(command[3:-1])}")
    done = subprocess.run(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def is_gone(address: str) -> bool:
    """Return whether nothing answers at an address any more.

    address  HOST:PORT
    """
    host, _, port = address.rpartition(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 5):
        return False
    return True


def say(sentence: str) -> None:
    """Print a sentence at once."""
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
