"""`caser serve` and `caser token`: serve a run over HTTP, and make tokens for its clients. They do not need torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from caser.artefact.folder import read_facts
from caser.cli import show
from caser.cli.flags import Whole, flat
from caser.cli.runs import tell_left_out
from caser.errors import ConfigError
from caser.service.settings import DEFAULT_HOST, DEFAULT_PORT, ServiceSettings

MAX_PORT = 65_535


def serve(
    run: Path,
    /,
    *,
    host: str = DEFAULT_HOST,
    port: Whole = DEFAULT_PORT,
    workers: Whole = 1,
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
    workers
        Number of processes; must be 1. To use more cores, start several services that share one --store, each with its
        own --port.

    """
    if workers != 1:
        raise ConfigError(
            f"--workers must be 1, because a request to reload the run reaches only one process; got {workers}. Start "
            "several services that share one --store, each with its own --port: they see each other's events."
        )
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(f"--port must be from 0 to {MAX_PORT}; got {port}.")
    from caser.service.http import server

    tell_left_out(run, read_facts(run))
    server.serve(run, settings, host, port)


def token(*, token_file: Path, name: str = "default") -> None:
    """Make a token, add its digest to a file, and print the token. It cannot be printed again.

    Parameters
    ----------
    token_file
        The file for `caser serve --token-file`. It is created if it does not exist.
    name
        The name of the token's owner. Logs and rate limits use this name.

    """
    from caser.service.http.tokens import add_token

    print(add_token(token_file, name))
    show.note(f"keep the token: {token_file} holds only its digest")
