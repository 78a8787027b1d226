"""Which callers count as one."""

from __future__ import annotations

import pytest
from cohear_server.live.caller import most_from, network_of


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(host: str, network: str) -> None:
    assert network_of(host) == network


@pytest.mark.parametrize(
    ("address", "limit", "places"),
    [
        ("8.8.8.8", 0, 100),
        (network_of("2a00:1450::1"), 0, 100),
        ("8.8.8.8", 7, 7),
        ("10.1.2.3", 0, 200),
        ("10.1.2.3", 7, 7),
        ("127.0.0.1", 0, 200),
        (network_of("fd00::1"), 0, 200),
        ("", 0, 200),
    ],
)
def test_an_address_of_the_internet_may_have_half(address: str, limit: int, places: int) -> None:
    assert most_from(address, limit, 200) == places
    assert most_from(address, 0, 1) == 1
