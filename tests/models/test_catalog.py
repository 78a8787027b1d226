"""From names to files: the order of the sources, paths, unknown names, and the hub when it does not answer."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from cohear_server.errors import ClientError
from cohear_server.models import hub
from cohear_server.models.catalog import Catalog, find_entry, find_model, models_dir, read_catalog
from cohear_server.models.sources import SourceOptions
from cohear_server.models.weights import Model
from huggingface_hub import constants

from .conftest import CONTENTS

PATIENCE_S = 60.0
"""a test that fails waits no longer"""


@pytest.fixture
def catalog(whole: Model, halves: Model) -> Catalog:
    return Catalog({"whole": whole, "halves": halves}, {"entire": "whole"})


@pytest.fixture(autouse=True)
def empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def refused(name: str, options: SourceOptions, catalog: Catalog) -> ClientError:
    with pytest.raises(ClientError) as caught:
        find_model(name, options=options, catalog=catalog)
    assert "\n" not in str(caught.value)
    return caught.value


# --- our own catalogue ----------------------------------------------------------------------------


def test_own_catalogue_pins_both_tiers_fully() -> None:
    catalog = read_catalog()
    for name in ("tiny.en", "base"):
        model = catalog.models[name]
        assert model.revision is not None
        assert {file.name for file in model.files} == {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}
        assert all(len(file.sha256) == 64 and file.parts for file in model.files)
        distributions = {part.package for file in model.files for part in file.parts}
        assert distributions == {package.partition("==")[0] for package in model.packages}
    assert set(catalog.aliases.values()) <= set(catalog.models)


def test_profiles_are_of_the_pinned_weights() -> None:
    for profile in models_dir().glob("profiles/*/profile.toml"):
        sha256 = read_catalog().models[profile.parent.name].sha256
        assert sha256 is not None
        assert sha256 in profile.read_text()


@pytest.mark.model
def test_tiny_en_is_found_in_its_package(tiny_en_dir: Path, tmp_path: Path) -> None:
    found = find_model("tiny.en", options=SourceOptions(tmp_path / "none", offline=True))
    assert found.directory == tiny_en_dir
    assert found.name == "tiny.en"
    assert not (tmp_path / "none").exists()


# --- order of the sources -------------------------------------------------------------------------


@pytest.mark.usefixtures("whole_package")
def test_cache_comes_before_packages(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    assert "package" in find_model("entire", options=options, catalog=catalog).source
    (ct2_folder / "config.json").write_bytes(CONTENTS["config.json"])
    shutil.copytree(ct2_folder, options.cache_dir / "whole")
    assert find_model("whole", options=options, catalog=catalog).source == "model cache"


def test_unpinned_model_may_lie_in_the_cache(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    shutil.copytree(ct2_folder, options.cache_dir / "org--other")
    found = find_model("org/other", options=options, catalog=catalog)
    assert (found.name, found.sha256) == ("org/other", None)


# --- paths ----------------------------------------------------------------------------------------


def test_folder_is_taken_as_it_is(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    (ct2_folder / "model.bin").write_bytes(b"of another size")
    found = find_model(str(ct2_folder), options=options, catalog=catalog)
    assert (found.name, found.directory, found.sha256) == ("mine", ct2_folder, None)


def test_copy_of_a_pinned_model_is_recognised(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    found = find_model(str(ct2_folder), options=options, catalog=catalog)
    assert found.name == "whole"
    assert found.sha256 == catalog.models["whole"].sha256


def test_namesake_of_a_pinned_model_has_its_own_hash(
    catalog: Catalog, options: SourceOptions, ct2_folder: Path
) -> None:
    (ct2_folder / "model.bin").write_bytes(b"other weights")
    folder = ct2_folder.rename(ct2_folder.parent / "whole")
    found = find_model(str(folder), options=options, catalog=catalog)
    assert found.name == "whole"
    assert found.sha256 == hashlib.sha256(b"other weights").hexdigest()


def test_name_wins_over_a_folder_of_that_name(
    catalog: Catalog, ct2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ct2_folder.rename(ct2_folder.parent / "whole")
    monkeypatch.chdir(ct2_folder.parent)
    assert find_entry("whole", catalog) is catalog.models["whole"]
    assert find_entry("./whole", catalog) is None


def test_incomplete_folder_says_what_it_lacks(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    (ct2_folder / "tokenizer.json").unlink()
    fault = refused(str(ct2_folder), options, catalog)
    assert fault.code == "bad_model"
    assert "tokenizer.json" in fault.message


@pytest.mark.parametrize("path", ["/no/such/folder", "./none", "none/", "a/b/c"])
def test_no_such_folder(catalog: Catalog, options: SourceOptions, path: str) -> None:
    fault = refused(path, options, catalog)
    assert fault.code == "unknown_model"
    assert "no folder" in fault.message


def test_unknown_name_comes_with_near_ones(options: SourceOptions) -> None:
    fault = refused("larg-v3", options, read_catalog())
    assert fault.code == "unknown_model"
    assert "large-v3" in fault.remedy


# --- the hub --------------------------------------------------------------------------------------


def test_offline_names_the_other_ways(catalog: Catalog, options: SourceOptions) -> None:
    fault = refused("whole", options, catalog)
    assert fault.code == "weights_unavailable"
    assert "offline" in fault.message
    for way in ("pip install 'cohear[whole]'", "folder", str(options.cache_dir / "whole"), "--model-dir"):
        assert way in fault.remedy


def test_hub_is_off_by_its_own_variable(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "offline" in refused("whole", SourceOptions(tmp_path), catalog).message


def test_hub_that_refuses_connections_is_one_quick_line(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    fault = refused("org/some", SourceOptions(tmp_path, hub_timeout_s=PATIENCE_S), catalog)
    assert fault.code == "weights_unavailable"
    assert "cannot be reached" in fault.message, "and not that the time was over"


@pytest.fixture
def silent_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield


@pytest.mark.usefixtures("silent_endpoint")
def test_hub_that_never_answers_is_given_up(catalog: Catalog, tmp_path: Path) -> None:
    fault = refused("org/some", SourceOptions(tmp_path, hub_timeout_s=0.3), catalog)
    assert fault.code == "weights_unavailable"
    assert re.search(r"did not answer within 0\.3 s|timed out", fault.message)


class _Hub(BaseHTTPRequestHandler):
    """Tells of a repository of one file of 1 MB, which trickles for ever."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        for name, value in (("ETag", '"1"'), ("X-Repo-Commit", "0" * 40), ("Content-Length", "1000000")):
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        if not self.path.startswith("/api/"):
            self.do_HEAD()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
        told = json.dumps({"id": "org/some", "sha": "0" * 40, "siblings": [{"rfilename": "config.json"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        pass


def test_ctrl_c_ends_a_download_at_once(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from cohear_server.models.catalog import SourceOptions, find_model
find_model("org/some", options=SourceOptions(pathlib.Path(sys.argv[1])))
"""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as hub_server:
        hub_server.daemon_threads = True
        threading.Thread(target=hub_server.serve_forever, daemon=True).start()
        env = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{hub_server.server_port}", "HF_HUB_OFFLINE": "0"}
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=env, stderr=subprocess.PIPE) as run:
            while not any(tmp_path.rglob("*.incomplete")):
                assert run.poll() is None, run.stderr and run.stderr.read().decode()
                time.sleep(0.05)
            run.send_signal(signal.SIGINT)
            run.wait(timeout=PATIENCE_S)
        hub_server.shutdown()
    assert run.returncode != 0


def test_full_disk_ends_a_download_with_one_line(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    there = SimpleNamespace(siblings=[SimpleNamespace(rfilename="model.bin")])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: there)
    fault = refused("org/some", SourceOptions(tmp_path), catalog)
    assert fault.code == "weights_unavailable"
    assert "No space left on device" in fault.message


def test_earlier_download_is_used_without_the_network(
    catalog: Catalog, options: SourceOptions, halves: Model, ct2_folder: Path
) -> None:
    (ct2_folder / "config.json").write_bytes(CONTENTS["config.json"])
    snapshot = options.cache_dir / "models--org--halves" / "snapshots" / str(halves.revision)
    snapshot.parent.mkdir(parents=True)
    ct2_folder.rename(snapshot)
    found = find_model("halves", options=options, catalog=catalog)
    assert (found.directory, found.sha256) == (snapshot, halves.sha256)
    (snapshot / "config.json").write_text("changed")
    assert refused("halves", options, catalog).code == "bad_weights"
    (snapshot / "model.bin").unlink()
    assert hub.downloaded(halves, options) is None, "an interrupted download is not taken"
