"""`verify_model`: every file hashed, wherever the model is, and each fault told with a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohear_server.errors import ClientError
from cohear_server.models.catalog import Catalog
from cohear_server.models.sources import SourceOptions
from cohear_server.models.verify import Verification, verify_model
from cohear_server.models.weights import Model
from huggingface_hub import constants

from .conftest import CONTENTS


@pytest.fixture
def catalog(whole: Model, halves: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    return Catalog({"whole": whole, "halves": halves}, {})


def wrong(found: Verification) -> dict[str, str]:
    return {file.name: file.fault for file in found.files if file.fault is not None}


@pytest.mark.usefixtures("whole_package")
def test_a_good_package(catalog: Catalog, options: SourceOptions) -> None:
    found = verify_model("whole", options, catalog)
    assert found.good
    assert "fake-whole==1.0" in found.source
    assert [file.size_bytes for file in found.files] == [len(data) for data in CONTENTS.values()]


def test_every_damaged_file_is_told(catalog: Catalog, whole_package: Path, options: SourceOptions) -> None:
    (whole_package / "model.bin").write_bytes(CONTENTS["model.bin"][:-1])
    (whole_package / "config.json").unlink()
    found = verify_model("whole", options, catalog)
    assert wrong(found).keys() == {"model.bin", "config.json"}
    assert "22 of 23 bytes" in wrong(found)["model.bin"]
    assert "pip install --force-reinstall" in found.remedy


def test_parts_are_hashed_together_and_nothing_is_written(
    catalog: Catalog, half_packages: tuple[Path, Path], options: SourceOptions
) -> None:
    assert verify_model("halves", options, catalog).good
    assert not options.cache_dir.exists()
    (half_packages[1] / "part2").write_bytes(b"other")
    assert wrong(verify_model("halves", options, catalog)).keys() == {"model.bin"}


def test_an_interrupted_copy_in_the_cache(catalog: Catalog, whole: Model, options: SourceOptions) -> None:
    folder = options.folder_of(whole)
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(CONTENTS["config.json"])
    found = verify_model("whole", options, catalog)
    assert wrong(found).keys() == CONTENTS.keys() - {"config.json"}
    assert "cohear models pull whole" in found.remedy


def test_a_model_that_is_nowhere(catalog: Catalog, options: SourceOptions) -> None:
    with pytest.raises(ClientError) as refused:
        verify_model("whole", options, catalog)
    assert refused.value.code == "weights_unavailable"


def test_a_copy_of_a_pinned_model_is_held_to_its_hashes(
    catalog: Catalog, options: SourceOptions, ct2_folder: Path
) -> None:
    found = verify_model(str(ct2_folder), options, catalog)
    assert (found.name, found.pinned) == ("whole", True)
    assert wrong(found).keys() == {"config.json"}


def test_a_folder_of_ones_own_is_complete_at_least(catalog: Catalog, options: SourceOptions, ct2_folder: Path) -> None:
    (ct2_folder / "model.bin").write_bytes(b"my own weights")
    found = verify_model(str(ct2_folder), options, catalog)
    assert found.good
    assert not found.pinned
    (ct2_folder / "tokenizer.json").unlink()
    with pytest.raises(ClientError, match=r"tokenizer\.json"):
        verify_model(str(ct2_folder), options, catalog)
