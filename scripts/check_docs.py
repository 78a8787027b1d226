"""Checks the documents against the code: links lead somewhere, Python parses, protocol examples are messages.

A JSON block of docs/protocol.md with a `type` must be a message with no field that the protocol does not know, and
every message must have an example. It does not run the examples.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from cohear_client import protocol
from cohear_client.errors import CohearError
from cohear_client.messages import tag_of

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
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
    for language, code in BLOCK.findall(text):
        if language == "python":
            try:
                compile(code, str(name), "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            except SyntaxError as fault:
                yield f"{name}: Python example, line {fault.lineno}: {fault.msg}"
    if name == Path("docs/protocol.md"):
        yield from check_messages(name, text)


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
