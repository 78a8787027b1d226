"""A server listens for other machines only where that was meant, and with a certificate that works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cohear_server.access.exposure import check_certificate, check_exposure
from cohear_server.app import banner, serve
from cohear_server.config import ServerConfig
from cohear_server.engine.tiers import TieredBackend
from cohear_server.errors import ClientError
from cohear_server.live.service import Service
from cohear_testing.fake import FAKE_MODEL, FakeBackend, FakeOptions

OUTSIDE = ["0.0.0.0", "::", "192.168.0.5", "example.org", "", "127.0.0.1.example.org"]
INSIDE = ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"]


@pytest.mark.parametrize("host", OUTSIDE)
def test_other_machines_need_keys_or_a_word(host: str) -> None:
    with pytest.raises(ClientError) as refused:
        check_exposure(ServerConfig(host=host))
    for remedy in ("cohear keys add", "--keys FILE", "127.0.0.1", "--open"):
        assert remedy in refused.value.remedy
    check_exposure(ServerConfig(host=host, open=True))
    check_exposure(ServerConfig(host=host, keys="keys.toml"))


@pytest.mark.parametrize("host", INSIDE)
def test_this_machine_alone_needs_none(host: str) -> None:
    check_exposure(ServerConfig(host=host))


def test_serve_refuses_before_it_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve(ServerConfig(host="0.0.0.0")) == 1
    err = capsys.readouterr().err
    assert err.startswith("cohear: host '0.0.0.0' lets every machine")
    assert err.count("\n") == 1


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A certificate, its key, and another key."""
    folder = tmp_path_factory.mktemp("pem")
    authority = trustme.CA()
    ours, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    paths = folder / "cert.pem", folder / "key.pem", folder / "other.pem"
    ours.cert_chain_pems[0].write_to_path(paths[0])
    ours.private_key_pem.write_to_path(paths[1])
    other.private_key_pem.write_to_path(paths[2])
    return paths


def test_certificates_that_will_not_do(pem: tuple[Path, Path, Path], tmp_path: Path) -> None:
    cert, key, other = map(str, pem)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("hello")
    for settings, words in (
        ({"ssl_keyfile": key}, "ssl_certfile is not"),
        ({"ssl_certfile": cert}, "cannot be used"),
        ({"ssl_certfile": cert, "ssl_keyfile": other}, "cannot be used"),
        ({"ssl_certfile": str(nonsense)}, "cannot be used"),
        ({"ssl_certfile": "/none.pem"}, "no such file"),
        ({"ssl_certfile": cert, "ssl_keyfile": "/none.pem"}, "/none.pem: there is no such file"),
    ):
        with pytest.raises(ClientError, match=words) as refused:
            check_certificate(ServerConfig(**settings))  # type: ignore[arg-type]
        assert refused.value.remedy
    check_certificate(ServerConfig(ssl_certfile=cert, ssl_keyfile=key))


def test_the_banner_names_both_models() -> None:
    both = TieredBackend(FakeBackend(), FakeBackend(FakeOptions(model=replace(FAKE_MODEL, name="small"))))
    assert "partials at the limit: small" in banner(Service(ServerConfig(), both), "127.0.0.1:1")


def test_the_banner_says_how_it_is_reached() -> None:
    plain = banner(Service(ServerConfig(), FakeBackend()), "127.0.0.1:1")
    assert "ws://127.0.0.1:1/v1/stream" in plain
    assert "none are asked for" in plain
    config = ServerConfig(ssl_certfile="cert.pem", keys="keys.toml")
    secure = banner(Service(config, FakeBackend()), "127.0.0.1:1")
    assert "wss://127.0.0.1:1/v1/stream" in secure
    assert "https://127.0.0.1:1" in secure
    assert "keys.toml" in secure
