"""Who calls: what the gate knows about a connection, and what a stream keeps of it. It checks nothing itself."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Caller:
    tenant: str = "default"
    """whose share of the engine its streams take: the name of its key"""
    key_id: str = ""
    """tells a key from another one of the same name, before or after; empty where no key is asked for"""
    scopes: frozenset[str] = field(default=frozenset(), compare=False)
    """what its key is good for; nothing is asked of it where there are no keys"""
    address: str = field(default="", compare=False)
    """where it comes from now, as `network_of` tells; a client that comes back may have another one"""


ANYONE = Caller()
"""on a server without keys"""

SCOPE = "cohear.caller"
"""where the gate leaves the caller in the scope of a connection"""


def network_of(host: str) -> str:
    """What counts as one address: an IPv6 host has a whole /64 to itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def most_from(address: str, limit: int, most: int) -> int:
    """How many of `most` places one address may hold: so many as the limit says; where that is 0, all of them if the
    address is in a private network, where a proxy may speak for everybody, and else half."""
    if limit:
        return limit
    return most if _is_private(address) else max(1, most // 2)


def _is_private(address: str) -> bool:
    try:
        return not ipaddress.ip_network(address, strict=False).is_global
    except ValueError:
        return True  # no network address, such as that of a socket file
