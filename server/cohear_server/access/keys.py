"""The file of API keys: names and hashes in TOML, never a key itself. It reads, adds and revokes; it lets nobody in.

A key is 256 random bits, so a plain SHA-256 is enough: nobody can guess it, and a slow hash would only slow the server.
Each change writes a new file and puts it in the place of the old one, so readers see one of the two.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..errors import ClientError

PREFIX = "cohear_"
"""every key begins with it, so that scanners for leaked secrets find it"""

STREAM, OPERATE = "stream", "operate"
SCOPES = (STREAM, OPERATE)
"""what a key may allow: streams and what belongs to them; reading the state of the server"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_BYTES = 1 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_HEADER = "# API keys of a Cohear server: their hashes. Change it with `cohear keys add` and `cohear keys revoke`.\n"


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    sha256: str
    created: datetime
    scopes: tuple[str, ...] = (STREAM,)


def read_keys(path: Path) -> tuple[Key, ...]:
    """All keys of a file. Raises ClientError(`bad_keys`) if it is missing, empty, damaged, or others may write to it. A
    file whose keys were all revoked is not empty."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _bad(path, "is no file", "name a file of keys")  # opening a pipe would wait for who writes to it
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_size > MOST_BYTES:
                raise _bad(path, f"has {status.st_size} bytes", "is it a file of keys?")
            text = file.read().decode()
            if not text.strip():
                raise _bad(path, "is empty", "add a key; to take keys away, use `cohear keys revoke`")
            data = tomllib.loads(text)
    except FileNotFoundError as fault:
        raise _bad(path, "there is no such file", f"make it: cohear keys add NAME --keys {path}") from fault
    except OSError as fault:
        raise _bad(path, str(fault.strerror), "name a file that can be read") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _bad(path, f"is not TOML ({fault})", "mend it, or make a new one with `cohear keys add`") from fault
    if os.name == "posix" and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _bad(path, "others may write to it", f"chmod 600 {path}")
    entries = data.get("key", [])
    if not isinstance(entries, list) or set(data) - {"key"}:
        raise _bad(path, "holds something else than [[key]] tables", "is it a file of keys?")
    keys = tuple(_key(path, entry) for entry in entries)
    if len({key.name for key in keys}) < len(keys):
        raise _bad(path, "has two keys of one name", "revoke one, or rename it in the file")
    return keys


def add_key(path: Path, name: str, scopes: Sequence[str] = (STREAM,)) -> str:
    """Make a key that is good for these `SCOPES`, and the file if there is none. Returns the key: it is nowhere else.

    Raises ClientError(`bad_name`, `bad_keys`)."""
    if not _NAME.fullmatch(name):
        remedy = "use 1 to 64 letters, digits, dots, underscores and dashes, beginning with a letter or digit"
        raise ClientError("bad_name", f"{name!r:.80} is no name for a key", remedy)
    keys = read_keys(path) if path.exists() and path.stat().st_size else ()
    if any(key.name == name for key in keys):
        raise ClientError("bad_name", f"there is a key {name!r} already", "choose another name, or revoke it first")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = Key(name, hash_of(secret), datetime.now(UTC).replace(microsecond=0), _in_order(scopes))
    _write(path, (*keys, made))
    return secret


def revoke_key(path: Path, name: str) -> None:
    """Raises ClientError(`bad_name`, `bad_keys`)."""
    keys = read_keys(path)
    left = tuple(key for key in keys if key.name != name)
    if len(left) == len(keys):
        known = ", ".join(key.name for key in keys) or "none"
        raise ClientError("bad_name", f"there is no key {name!r:.80} in {path}", f"known keys: {known}")
    _write(path, left)


def hash_of(secret: str) -> str:
    """The hash that a file keeps of a key, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(path: Path, entry: Any) -> Key:
    match entry:
        case {"name": str(name), "sha256": str(sha256), "created": datetime() as created, **rest}:
            scopes: Any = rest.pop("scopes", [STREAM])
            known = isinstance(scopes, list) and scopes and all(scope in SCOPES for scope in scopes)
            if known and not rest and _NAME.fullmatch(name) and _HASH.fullmatch(sha256):
                return Key(name, sha256, created, _in_order(scopes))
    what = "each has a name, a sha256 of 64 hexadecimal digits, created, and scopes of " + " and ".join(SCOPES)
    raise _bad(path, "has a [[key]] that is not valid", what)


def _in_order(scopes: Sequence[str]) -> tuple[str, ...]:
    return tuple(scope for scope in SCOPES if scope in scopes)


def _entry(key: Key) -> str:
    lines = [f'name = "{key.name}"', f'sha256 = "{key.sha256}"', f"created = {key.created.isoformat()}"]
    if key.scopes != (STREAM,):
        lines.append(f"scopes = {json.dumps(key.scopes)}")
    return "\n[[key]]\n" + "\n".join(lines) + "\n"


def _write(path: Path, keys: tuple[Key, ...]) -> None:
    entries = [_entry(key) for key in keys]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # made for its owner alone (mode 600), from the first byte
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_HEADER + "".join(entries))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as fault:
        raise _bad(path, f"cannot be written ({fault.strerror})", "choose another with --keys") from fault


def _bad(path: Path, what: str, remedy: str) -> ClientError:
    return ClientError("bad_keys", f"{path}: {what}", remedy)
