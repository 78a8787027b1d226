"""Who asks: what the gate found out about a connection, and what a stream keeps of it. It checks nothing itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: str = "default"
    """whose share of the engine its streams take: the name of its key"""
    key_id: str = ""
    """tells a key from another one of the same name, before or after; empty where no key is asked for"""


ANYONE = Caller()
"""on a server without keys"""

SCOPE = "cohear.caller"
"""where the gate leaves the caller in the scope of a connection"""
