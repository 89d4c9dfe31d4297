"""`caser serve` and `caser token`: a run over HTTP, and who may ask it. No torch is needed or loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from caser.cli import show
from caser.cli.flags import Whole, flat
from caser.errors import ConfigError, MissingDependencyError
from caser.service.settings import DEFAULT_HOST, DEFAULT_PORT, ServiceSettings


def serve(
    run: Path,
    /,
    *,
    host: str = DEFAULT_HOST,
    port: Whole = DEFAULT_PORT,
    workers: Whole = 1,
    settings: Annotated[ServiceSettings, flat("Service")] = ServiceSettings(),  # noqa: B008
) -> None:
    """Serve a run over HTTP until it is stopped: recommendations that follow what people just did, and a page.

    Parameters
    ----------
    run
        A run folder.
    host
        The address to listen on; another than this machine's own needs --token-file.
    port
        The port; 0 takes a free one.
    workers
        Processes: only 1. To use more cores, start one service per core on one --store, each with a port.

    """
    if workers != 1:
        raise ConfigError(
            f"--workers must be 1, as a reload reaches one process; got {workers}. Start several services, each with "
            "a --port, on one --store: they see each other's events."
        )
    if not 0 <= port <= 65_535:
        raise ConfigError(f"--port must be from 0 to 65535; got {port}.")
    try:
        from caser.service.http import server
    except ImportError as error:
        raise MissingDependencyError(
            f"serving needs the extra 'serve'; {error.name} is not installed. Type: pip install 'caser[serve]'"
        ) from None
    server.serve(run, settings, host, port)


def token(*, token_file: Path, name: str = "default") -> None:
    """Make a token, add its digest to a file, and print it; it cannot be shown again.

    Parameters
    ----------
    token_file
        The file for `caser serve --token-file`; it is made if there is none.
    name
        Whose token it is; logs and limits go by this name.

    """
    from caser.service.http.tokens import add_token

    print(add_token(token_file, name))
    show.say(f"keep it: {token_file} holds only its digest")
