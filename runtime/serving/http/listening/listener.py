"""The socket that a server listens on, taken before anything is loaded."""

import socket

from runtime.errors import TargetError


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to host and port (0: any that is free), not listening yet: clients are refused until the server is
    ready. Raises TargetError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise TargetError(f"{host}: no address to listen on: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.set_inheritable(False)
    except OSError as error:
        bound.close()
        raise TargetError(f"{host}:{port}: cannot listen there: {error.strerror}") from error
    return bound
