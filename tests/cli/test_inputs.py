from __future__ import annotations

import os
from pathlib import Path

import pytest
from cohear_cli.inputs import Input, find_inputs, targets
from cohear_client.errors import ClientError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_globs_and_files_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a.MP3", "sub/c.mkv", "notes.txt", ".hidden.wav", ".git/d.wav", "odd[1].wav")
    whole = [str(one.path.relative_to(tmp_path)) for one in find_inputs([str(tmp_path), str(tmp_path / "b.wav")])]
    assert whole == ["a.MP3", "b.wav", "odd[1].wav", "sub/c.mkv"]
    assert [one.below for one in find_inputs([str(tmp_path / "**/*.mkv")])] == [Path("c.mkv")]
    assert [one.path.name for one in find_inputs([str(tmp_path / "odd[1].wav")])] == ["odd[1].wav"]
    assert [one.path.name for one in find_inputs([str(tmp_path / "notes.txt")])] == ["notes.txt"]


def test_a_missing_file_is_left_for_its_turn_but_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    assert find_inputs([str(tmp_path / "none.wav")]) == [Input(tmp_path / "none.wav", Path("none.wav"))]
    with pytest.raises(ClientError, match="no audio or video files"):
        find_inputs([str(tmp_path)])
    assert find_inputs([str(tmp_path)], may_be_empty=True) == []
    with pytest.raises(ClientError, match="nothing has such a name"):
        find_inputs([str(tmp_path / "*.wav")])


def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.wav")
    os.symlink(tmp_path, tmp_path / "sub" / "loop")
    os.symlink("self.wav", tmp_path / "self.wav")
    found = find_inputs([str(tmp_path)])
    assert sorted(one.path.name for one in found) == ["a.wav", "self.wav"]


def test_outputs_lie_as_the_files_do_and_never_on_each_other() -> None:
    files = [Input(Path("in/x/a.wav"), Path("x/a.wav")), Input(Path("in/x/a.mp3"), Path("x/a.mp3"))]
    files.append(Input(Path("b.wav"), Path("b.wav")))
    assert [str(path) for path in targets(files, Path("out")).values()] == ["out/x/a.wav", "out/x/a.mp3", "out/b"]
    with pytest.raises(ClientError, match="same name"):
        targets([Input(Path("x/a.wav"), Path("a.wav")), Input(Path("y/a.wav"), Path("a.wav"))], Path())
