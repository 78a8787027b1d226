"""Ends the streams of revoked keys, in order. Letting callers in or keeping them out is the gate's part."""

from __future__ import annotations

import asyncio

from ..errors import ClientError
from ..live.caller import ANYONE
from ..live.service import Service
from .keyring import Keyring

EVERY_S = 0.5

REVOKED = ClientError("key_revoked", "the key of this stream was revoked", "ask the operator for another one")


class Revocations:
    def __init__(self, service: Service, keyring: Keyring) -> None:
        self._service = service
        self._keyring = keyring

    async def run(self) -> None:
        """Watch the file of keys until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.enforce()

    def enforce(self) -> None:
        """End each stream whose key is no longer in the file; streams of this process itself have no key."""
        self._keyring.refresh()
        for stream in list(self._service.streams.values()):
            if stream.caller != ANYONE and not self._keyring.holds(stream.caller):
                self._service.expel(stream, REVOKED)
