"""`cohear serve`: the server, from the command line. All settings and behaviour are the server package's."""

from __future__ import annotations

import argparse

from .usage import Help, Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add the command; its flags are the fields of the server's configuration."""
    from cohear_server.config import add_arguments

    parser = subparsers.add_parser(
        "serve",
        help="run the transcription server",
        formatter_class=Help,
        description="""Run the transcription server: websocket streams, a browser page at /, health at /healthz and
/readyz, metrics at /metrics. Each setting may also come from a TOML file (--config) or the
environment (COHEAR_PORT=9000); flags win.""",
        epilog="""examples:
  cohear serve                                   the default model on 127.0.0.1:8765
  cohear serve --host 0.0.0.0 --keys keys.toml   reachable from other machines, by key (cohear keys add NAME)
  cohear serve --ssl-certfile cert.pem --ssl-keyfile key.pem
  cohear serve --model base                      several languages
  cohear serve --model large-v3-turbo --device cuda""",
    )
    add_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop."""
    from cohear_server.app import serve
    from cohear_server.config import load

    return serve(load(args))
