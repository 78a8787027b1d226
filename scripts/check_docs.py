"""Checks the documents against the code: links and paths lead somewhere, Python parses, protocol examples are messages.

A JSON block of docs/protocol.md with a `type` must be a message with no field that the protocol does not know, and
every message must have an example. Each `cohear` command in an `sh` block must be one that the command line takes, and
docs/command-line.md must have every exit code and every flag of other tools. It does not run the examples.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import Any, get_args

import cohear_cli
from cohear_cli.foreign import FLAGS
from cohear_cli.usage import EXIT_CODES
from cohear_client import protocol
from cohear_client.errors import CohearError
from cohear_client.messages import tag_of

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"`([\w-]+(?:/[\w.-]+)*/[\w-]+\.(?:py|js|sh|md|toml|html|css))`")
PLACES = (ROOT, ROOT / "server" / "cohear_server", ROOT / "client", ROOT / "client" / "cohear_client")
"""where a path in a document may begin"""
OPERATOR = re.compile(r"[|&;<>()]+")
CLIENT = {tag_of(message) for message in get_args(protocol.ClientMessage)}
SERVER = {tag_of(message) for message in get_args(protocol.ServerMessage)}


def main() -> int:
    documents = sorted(
        [*ROOT.glob("*.md"), *(p for d in ("docs", "bench", "audio_samples") for p in (ROOT / d).rglob("*.md"))]
    )
    problems = [problem for document in documents for problem in check(document)]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"docs: {len(documents)} documents, {len(problems)} problems")
    return 1 if problems else 0


def check(document: Path) -> Iterator[str]:
    name, text = document.relative_to(ROOT), document.read_text()
    for target in LINK.findall(text):
        path = target.partition("#")[0]
        if path and "://" not in target and not target.startswith("mailto:") and not (document.parent / path).exists():
            yield f"{name}: link to {target} leads nowhere"
    for source in SOURCE.findall(BLOCK.sub("", text)):
        if not any((place / source).exists() for place in PLACES):
            yield f"{name}: there is no {source}"
    for language, code in BLOCK.findall(text):
        if language == "python":
            try:
                compile(code, str(name), "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            except SyntaxError as fault:
                yield f"{name}: Python example, line {fault.lineno}: {fault.msg}"
        if language == "sh":
            yield from (f"{name}: {problem}" for command in commands(code) for problem in check_command(command))
    if name == Path("docs/protocol.md"):
        yield from check_messages(name, text)
    if name == Path("docs/command-line.md"):
        rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
        rows += [f"| `{flag.name}` | {flag.instead} |" for flag in FLAGS]
        yield from (f"{name}: no row {row!r}" for row in rows if row not in text)


def commands(script: str) -> Iterator[list[str]]:
    """The arguments of each `cohear` in a script; variables before it and redirections after it are left out."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        words = list(lexer)
        ends = [-1, *(at for at, word in enumerate(words) if OPERATOR.fullmatch(word)), len(words)]
        for start, end in pairwise(ends):
            command = list(dropwhile(lambda word: re.match(r"\w+=", word), words[start + 1 : end]))
            if command and command[0].rpartition("/")[2] == "cohear":
                yield command[1:]


def check_command(arguments: list[str]) -> Iterator[str]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            cohear_cli.parse(arguments)
    except SystemExit as end:
        if end.code:
            yield f"cohear {shlex.join(arguments)}: {said.getvalue().splitlines()[-1]}"


def check_messages(name: Path, text: str) -> Iterator[str]:
    shown = set()
    for language, code in BLOCK.findall(text):
        if language != "json":
            continue
        try:
            message = json.loads(code)
        except ValueError as fault:
            yield f"{name}: JSON example {code[:60]!r}: {fault}"
            continue
        if "type" in message:
            shown.add(message["type"])
            yield from (f"{name}: {message['type']}: {problem}" for problem in check_message(message))
    yield from (f"{name}: no example of {kind}" for kind in sorted((CLIENT | SERVER) - shown))


def check_message(message: dict[str, Any]) -> Iterator[str]:
    decode = protocol.decode_client if message["type"] in CLIENT else protocol.decode_server
    try:
        parsed = decode(json.dumps(message))
    except CohearError as fault:
        yield str(fault)
        return
    known = json.loads(protocol.encode(parsed))
    yield from (f"field {field} is not in the protocol" for field in sorted(message.keys() - known.keys()))


if __name__ == "__main__":
    sys.exit(main())
