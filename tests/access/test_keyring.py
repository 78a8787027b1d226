"""Which keys hold while their file changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cohear_server.access.keyring import WRITTEN_S, Keyring
from cohear_server.access.keys import add_key, revoke_key
from cohear_server.access.revocations import EVERY_S


class Keys:
    """A file with the keys of alice and bob, and a ring of them, at a time that stands still."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.toml"
        self.alice, self.bob = (add_key(self.file, name) for name in ("alice", "bob"))
        self.text = self.file.read_text()
        self.now_s = 1e9
        self.ring = Keyring(self.file, lambda: self.now_s)

    def write(self, text: str) -> None:
        """In place, as an editor or `cp` does."""
        self.file.write_text(text)
        os.utime(self.file, (self.now_s, self.now_s))

    def holding(self) -> list[str]:
        callers = (self.ring.caller_of(secret) for secret in (self.alice, self.bob))
        return [caller.tenant for caller in callers if caller is not None]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_at_no_moment_of_its_writing_does_a_file_take_keys_away(keys: Keys) -> None:
    for written in range(len(keys.text)):
        keys.now_s += 0.01
        keys.write(keys.text[:written])
        assert keys.holding() == ["alice", "bob"]
    keys.write(keys.text)
    keys.now_s += 2 * WRITTEN_S
    assert keys.holding() == ["alice", "bob"]


@pytest.mark.parametrize("text", ["", "\n", "[[key"])
def test_an_empty_or_damaged_file_is_told_and_changes_nothing(
    keys: Keys, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys.write(text)
    for _ in range(3):
        keys.now_s += 2 * WRITTEN_S
        assert keys.holding() == ["alice", "bob"]
    assert caplog.text.count("the keys stay as they were") == 1


def test_a_key_that_was_taken_out_in_place_is_gone_once_the_file_is_complete(keys: Keys) -> None:
    keys.write(keys.text[: keys.text.rindex("[[key]]")])
    assert keys.holding() == ["alice", "bob"]
    keys.now_s += 2 * WRITTEN_S
    assert keys.holding() == ["alice"]


def test_a_key_that_is_revoked_is_gone_within_a_second(keys: Keys) -> None:
    for name, left in (("bob", ["alice"]), ("alice", [])):
        revoke_key(keys.file, name)
        os.utime(keys.file, (keys.now_s, keys.now_s))
        keys.now_s += WRITTEN_S + EVERY_S
        assert keys.holding() == left
    assert WRITTEN_S + EVERY_S <= 1


def test_a_new_key_holds_at_once_beside_one_that_is_missing(keys: Keys) -> None:
    revoke_key(keys.file, "bob")
    keys.bob = add_key(keys.file, "bob")
    os.utime(keys.file, (keys.now_s, keys.now_s))
    assert keys.holding() == ["alice", "bob"]
