"""The sockets that the server listens on: opened before the model is loaded, so that a port in use is refused at once.

A socket is bound first, and listens only when the server is ready: until then a client is refused and does not wait.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from caser.errors import ConfigError

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_MODE_OF_UNIX_SOCKET = 0o117
"""The mask that lets the owner and the group of a Unix socket connect, and nobody else."""


@contextmanager
def bound_sockets(host: str, port: int, uds: Path | None = None) -> Iterator[list[socket.socket]]:
    """Give the sockets of an address, and close them in the end.

    host  a name or an address; all its addresses are used       port  the port; 0 takes a free one
    uds   the path of a Unix socket, in place of host and port; it is removed in the end

    Raises ConfigError for an address that does not exist on this machine, that is in use, or that may not be used.
    """
    sockets = _bind(host, port) if uds is None else [_bind_unix(uds)]
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()
        if uds is not None:
            with suppress(OSError):
                uds.unlink()


def let_others_join(sockets: Sequence[socket.socket]) -> bool:
    """Let further processes of this user listen on the same addresses, each on sockets of its own (`joined`).

    sockets  bound, and not listening

    Returns whether they can. Then the system hands out connections evenly, and those of a process that ends go to the
    others. Elsewhere processes must share the sockets: Unix sockets, and systems other than Linux.
    """
    if sys.platform != "linux" or any(each.family not in _INTERNET for each in sockets):
        return False
    for each in sockets:  # after it is bound: so another service on the same port is still refused
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return True


def joined(sockets: Sequence[socket.socket]) -> list[socket.socket]:
    """Return new sockets at the addresses of sockets that `let_others_join` has prepared.

    sockets  bound, and not listening
    """
    found: list[socket.socket] = []
    for each in sockets:
        opened = socket.socket(each.family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if each.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(each.getsockname())
        found.append(opened)
    return found


def shown(listening: socket.socket) -> str:
    """Return the address of a socket as people write it: a URL with brackets around an IPv6 address, or a path.

    listening  a socket that is bound
    """
    if listening.family not in _INTERNET:
        return f"the Unix socket {listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if listening.family == socket.AF_INET6 else f"http://{host}:{port}"


def _bind(host: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"--host must be a name or an address of this machine; got {host!r}: {error}.") from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            try:
                # The second address of a name gets the port that the first one took.
                own_port = sockets[0].getsockname()[1] if sockets else port
                sockets.append(_bound(family, (address[0], own_port, *address[2:])))
            except OSError as error:
                # A name may have an IPv6 address although the machine has no IPv6: the others do.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not sockets and missing is not None:
            raise missing
    except OSError as error:
        for each in sockets:
            each.close()
        raise refusal(host, port, error) from None
    return sockets


def _bound(family: int, address: Sequence[object]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # after a restart, old connections may still hold the port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(tuple(address))
        if os.name == "posix":  # from here on, no other program may bind it, although nobody listens yet
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        opened.close()
        raise
    return opened


def refusal(host: str, port: int, error: OSError) -> ConfigError:
    """Return the error that says why an address cannot be listened on.

    host  a name or an address       port  the port       error  the error that the system reported
    """
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"--port must be free on {host}; another program listens on {port}. Choose another with --port, or 0 for "
            "any free one."
        )
    if error.errno == errno.EACCES:
        return ConfigError(f"--port must be one that you may use; {port} is not. Choose one above 1023 with --port.")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(
            f"--host must be an address of this machine; {host!r} is none. 127.0.0.1 serves this machine, 0.0.0.0 all."
        )
    return ConfigError(f"--host and --port must be an address to listen on; got {host!r}, {port}: {error.strerror}.")


def _bind_unix(path: Path) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigError("--uds needs Unix sockets, which this system does not have. Use --host and --port.")
    try:
        _remove_stale(path)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(_MODE_OF_UNIX_SOCKET)
        try:
            opened.bind(str(path))
        except BaseException:
            opened.close()
            raise
        finally:
            os.umask(before)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"--uds must be the path of a new Unix socket; got {path}: {reason}. Choose another."
        ) from None
    return opened


def _remove_stale(path: Path) -> None:
    """Remove a Unix socket that a killed process left. Raises OSError for one in use, and for anything else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(errno.EEXIST, "there is something else")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(errno.EADDRINUSE, "another program listens on it")
