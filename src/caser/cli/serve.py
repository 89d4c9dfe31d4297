"""`caser serve` and `caser token`: serve a run over HTTP, and make tokens for its clients. They do not need torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from caser.artefact.folder import read_facts
from caser.cli import show
from caser.cli.flags import Switch, Whole, flat
from caser.cli.runs import about_left_out
from caser.errors import ConfigError
from caser.service.settings import DEFAULT_HOST, DEFAULT_PORT, ServiceSettings

MAX_PORT = 65_535


def serve(
    run: Path,
    /,
    *,
    host: str = DEFAULT_HOST,
    port: Whole = DEFAULT_PORT,
    uds: Path | None = None,
    workers: Whole = 1,
    json: Switch = False,
    settings: Annotated[ServiceSettings, flat("Service")] = ServiceSettings(),  # noqa: B008
) -> None:
    """Serve a run over HTTP until stopped: recommendations that use each user's latest events, and a web page.

    Parameters
    ----------
    run
        A run folder.
    host
        The address to listen on. --token-file is required if other machines can reach this address.
    port
        The port; 0 takes a free one.
    uds
        A Unix socket to listen on, in place of --host and --port. Its owner and group may connect.
    workers
        Number of processes; must be 1. To use more cores, start several services that share one --store, each with its
        own --port.
    json
        Print one JSON document on stdout when the service is ready: its addresses, its run and its model. Logs go to
        stderr.

    """
    if workers != 1:
        raise ConfigError(
            f"--workers must be 1, because a request to reload the run reaches only one process; got {workers}. Start "
            "several services that share one --store, each with its own --port: they see each other's events."
        )
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"--port must be from 0 to {MAX_PORT}; got {port}.")
    if uds is not None and (host, port) != (DEFAULT_HOST, DEFAULT_PORT):
        raise ConfigError("--uds must stand alone, without --host and --port: it replaces them. Leave one of both out.")
    from caser.service.http import server
    from caser.service.logs import logger

    def on_ready(addresses: list[str], model_version: str) -> None:
        if sentence := about_left_out(run, read_facts(run)):
            logger.warning(sentence)
        if json:
            show.document({"addresses": addresses, "run": str(run), "model_version": model_version})
            sys.stdout.flush()

    server.serve(run, settings, host, port, uds, on_ready)


def token(*, token_file: Path, name: str = "default", json: Switch = False) -> None:
    """Make a token, add its digest to a file, and print the token. It cannot be printed again.

    Parameters
    ----------
    token_file
        The file for `caser serve --token-file`. It is created if it does not exist.
    name
        The name of the token's owner. Logs and rate limits use this name.
    json
        Print one JSON document instead of the token.

    """
    from caser.service.http.tokens import add_token

    made = add_token(token_file, name)
    if json:
        show.document({"name": name, "token": made, "token_file": str(token_file)})
    else:
        print(made)
    show.note(f"keep the token: {token_file} holds only its digest")
