"""Checks once, before the server listens, whom its settings let in. It guards nothing itself."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from ..config import ServerConfig
from ..errors import ClientError


def check_exposure(config: ServerConfig) -> None:
    """Refuse to listen for everybody by accident. Raises ClientError(`exposed`)."""
    if config.keys or config.open or is_loopback(config.host):
        return
    raise ClientError(
        "exposed",
        f"host {config.host!r} lets every machine that reaches this one use the server, and read its metrics",
        "ask for keys (`cohear keys add NAME`, then --keys FILE), or listen on 127.0.0.1 behind a proxy that does, "
        "or say --open if all who can reach it may use it",
    )


def check_certificate(config: ServerConfig) -> None:
    """Raises ClientError(`bad_certificate`) for files that make no TLS server; nothing where none are named."""
    if config.ssl_keyfile and not config.ssl_certfile:
        raise _bad("ssl_keyfile is set, but ssl_certfile is not", "name the certificate too")
    if not config.ssl_certfile:
        return
    for name in filter(None, (config.ssl_certfile, config.ssl_keyfile)):
        if not Path(name).is_file():
            raise _bad(f"{name}: there is no such file", "name a PEM file")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # a password would be asked for on a terminal that may not be there
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile or None, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as fault:
        remedy = "give a PEM certificate and its own key, without a password"
        raise _bad(f"{config.ssl_certfile}: cannot be used ({fault})", remedy) from fault


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name may mean any address


def _bad(what: str, remedy: str) -> ClientError:
    return ClientError("bad_certificate", what, remedy)
