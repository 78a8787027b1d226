from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cohear_cli import main
from cohear_cli.usage import COMMANDS, missing_extra
from cohear_client.protocol import Error, Final, decode_server, encode

from ..client.conftest import Serve, write_tone
from ..client.fake_server import Script

COHEAR = [sys.executable, "-c", "import sys; from cohear_cli import main; sys.exit(main())"]
PIPES: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True}
Output = pytest.CaptureFixture[str]


def test_help_teaches(capsys: Output) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    for command in ("stream", "mic", "transcribe", "serve"):
        assert main([command, "--help"]) == 0
        assert capsys.readouterr().out.count(f"  cohear {command}") >= 2


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from cohear_cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    for heavy in ("numpy", "soundfile", "websockets", "rich", "cohear_server"):
        assert f"'{heavy}'" not in loaded


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["sing"],
        ["stream"],
        ["stream", "a.wav", "--speed", "-1"],
        ["stream", "a.wav", "--endpoint-ms", "7"],
        ["transcribe", "a.wav", "--format", "doc"],
        ["transcribe", "a.wav", "--jobs", "0"],
    ],
)
def test_wrong_usage_is_exit_code_2(wrong: list[str], capsys: Output) -> None:
    assert main(wrong) == 2
    assert "usage: cohear" in capsys.readouterr().err


def test_missing_extras_name_their_command() -> None:
    assert missing_extra("starlette.routing") == "pip install 'cohear[server]'"
    assert missing_extra("rich") == "pip install 'cohear[cli]'"
    assert missing_extra("no_such_module") is None


def test_stream_prints_finals(serve: Serve, tone: Path, capsys: Output) -> None:
    server = serve(Script())
    assert (
        main(["stream", str(tone), "--url", server.url, "--speed", "0", "--language", "en", "--endpoint-ms", "300"])
        == 0
    )
    assert capsys.readouterr().out == "hello world0\nhello world1\n"
    (start,) = server.seen.starts
    assert (start.language, start.endpoint_ms, start.partials, start.words) == ("en", 300, True, True)


def test_a_key_comes_from_the_flag_or_the_environment(
    serve: Serve, tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(Script())
    monkeypatch.setenv("COHEAR_API_KEY", "from-environment")
    commands = ["stream", "--speed", "0"], ["transcribe", "--quiet"]
    for command, *flags in commands:
        assert main([command, str(tone), "--url", server.url, *flags]) == 0
        assert main([command, str(tone), "--url", server.url, *flags, "--key", "from-flag"]) == 0
    assert server.seen.authorizations == ["Bearer from-environment", "Bearer from-flag"] * 2


def test_stream_json_is_the_wire_with_received_s(serve: Serve, tone: Path, capsys: Output) -> None:
    server = serve(Script())
    assert (
        main(["stream", str(tone), "--url", server.url, "--speed", "0", "--json", "--no-partials", "--no-words"]) == 0
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines][:2] == ["ready", "speech_started"]
    assert lines[-1]["type"] == "done"
    times = [line.pop("received_s") for line in lines]
    assert times == sorted(times)
    assert [e.text for e in map(decode_server, map(json.dumps, lines)) if isinstance(e, Final)] == [
        "hello world0",
        "hello world1",
    ]


@pytest.mark.parametrize("raw", [True, False])
def test_stream_takes_a_pipe(serve: Serve, tone: Path, *, raw: bool) -> None:
    server = serve(Script())
    audio = bytes(16_000) if raw else tone.read_bytes()
    flags = ["--rate", "8000"] if raw else []
    ran = subprocess.run(
        [*COHEAR, "stream", "-", "--url", server.url, *flags], input=audio, capture_output=True, check=True
    )
    assert ran.stdout == b"hello world0\nhello world1\n"
    assert server.seen.starts[0].sample_rate == (8_000 if raw else 16_000)


def test_stream_takes_a_redirected_file(serve: Serve, tone: Path) -> None:
    server = serve(Script())
    with tone.open("rb") as audio:
        ran = subprocess.run(
            [*COHEAR, "stream", "-", "--url", server.url], stdin=audio, capture_output=True, check=True
        )
    assert ran.stdout == b"hello world0\nhello world1\n"


def test_faults_are_one_line_and_exit_code_1(serve: Serve, tone: Path, tmp_path: Path, capsys: Output) -> None:
    refusing = serve(Script(refuse=Error("unsupported", "no such model", "use tiny.en")))
    for arguments, expected in (
        (["stream", str(tone), "--url", refusing.url], "cohear: no such model: use tiny.en\n"),
        (["stream", str(tone), "--url", "ftp://x"], "cohear: 'ftp://x' is not the address of a server: "),
        (
            ["stream", str(tmp_path / "none.wav")],
            f"cohear: {tmp_path}/none.wav: there is no such file: check the name\n",
        ),
        (["stream", str(tone), "--url", "ws://127.0.0.1:1"], "cohear: nothing answers at 127.0.0.1:1: start a server"),
    ):
        assert main(arguments) == 1
        err = capsys.readouterr().err
        assert err.startswith(expected)
        assert err.count("\n") == 1


def test_a_stream_that_breaks_shows_what_was_heard(serve: Serve, tone: Path, capsys: Output) -> None:
    server = serve(Script(fatal_after_segments=1))
    assert main(["stream", str(tone), "--url", server.url, "--speed", "0"]) == 1
    output = capsys.readouterr()
    assert output.out.startswith("hello world0\n")
    assert output.err == "cohear: the engine broke: see the log\n"


def test_transcribe_prints_text_in_the_order_given(serve: Serve, tmp_path: Path, capsys: Output) -> None:
    files = [str(write_tone(tmp_path / f"{n}.wav", seconds)) for n, seconds in enumerate((1.0, 0.5, 0.6))]
    server = serve(Script())
    assert main(["transcribe", *files, "--url", server.url]) == 0
    output = capsys.readouterr()
    long, short = "hello world0\nhello world1\n", "hello world0\n"
    assert output.out == f"== {files[0]}\n{long}== {files[1]}\n{short}== {files[2]}\n{short}"
    assert output.err.startswith("3 of 3 files, 2.1 s of audio in ")


def test_transcribe_runs_files_side_by_side_up_to_jobs(serve: Serve, tmp_path: Path) -> None:
    files = [str(write_tone(tmp_path / f"{n}.wav", 5.0)) for n in range(9)]
    server = serve(Script())
    assert main(["transcribe", *files, "--url", server.url, "--jobs", "3", "--quiet"]) == 0
    assert 2 <= server.seen.most_at_once <= 3
    assert len(server.seen.starts) == 9


def test_a_bad_file_does_not_stop_the_others(serve: Serve, tone: Path, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "notes.wav").write_text("dear diary")
    out = tmp_path / "out"
    arguments = ["transcribe", str(tmp_path / "notes.wav"), str(tone), "--url", serve(Script()).url, "--quiet"]
    assert main([*arguments, "--format", "txt,srt,vtt,tsv,json", "--output-dir", str(out)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"{tmp_path}/notes.wav: holds text, not audio: give an audio file such as wav, flac or mp3\n"
    assert sorted(p.name for p in out.iterdir()) == ["tone.json", "tone.srt", "tone.tsv", "tone.txt", "tone.vtt"]
    assert (out / "tone.txt").read_text() == "hello world0\nhello world1\n"


def test_a_damaged_file_is_transcribed_as_far_as_it_goes(serve: Serve, tone: Path, capsys: Output) -> None:
    os.truncate(tone, tone.stat().st_size * 2 // 3)
    assert main(["transcribe", str(tone), "--url", serve(Script()).url, "--quiet"]) == 3
    output = capsys.readouterr()
    assert output.out == "hello world0\n"
    assert "only the first 0.7 s of 1.0 s could be read" in output.err


def test_a_stream_that_breaks_writes_no_output(serve: Serve, tone: Path, tmp_path: Path, capsys: Output) -> None:
    server = serve(Script(drop_after_segments=1))
    out = tmp_path / "out"
    arguments = ["transcribe", str(tone), "--url", server.url, "--quiet", "--format", "txt", "--output-dir", str(out)]
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"{tone}: the connection was lost")
    assert list(out.iterdir()) == []


def test_transcribe_waits_for_room(serve: Serve, tone: Path, capsys: Output) -> None:
    server = serve(Script(refuse=Error("overloaded", "no room", "later", retry_after_s=0.0), refusals=3))
    assert main(["transcribe", str(tone), "--url", server.url, "--quiet"]) == 0
    assert capsys.readouterr().out == "hello world0\nhello world1\n"
    assert len(server.seen.starts) == 4


def test_the_first_ctrl_c_ends_the_audio_and_its_text_still_comes(serve: Serve, tone: Path) -> None:
    """Of a file that is then not done; a pipe has no other end."""
    server = serve(Script())
    flags = ["--url", server.url, "--json"]
    for source, code in (("-", 0), (str(write_tone(tone, 60.0)), 130)):
        with subprocess.Popen([*COHEAR, "stream", source, *flags], **PIPES) as run:
            assert run.stdin is not None
            assert run.stdout is not None
            run.stdin.write(bytes(32_000).decode())
            run.stdin.flush()
            while '"final"' not in run.stdout.readline():
                pass
            run.send_signal(signal.SIGINT)
            out, err = run.communicate()
        assert '"done"' in out
        assert err.startswith("cohear: no more audio is sent")
        assert err.count("\n") == 1
        assert run.returncode == code


def test_audio_without_text_is_told_with_its_place_and_an_exit_code(serve: Serve, tone: Path, capsys: Output) -> None:
    lost = Error("decode_failed", "no engine could", "see the log", fatal=False, start_s=0.5, end_s=0.75)
    server = serve(Script(before_done=[encode(lost)]))
    for command, code in ((["stream", "--speed", "0"], 1), (["transcribe", "--quiet"], 3)):
        assert main([*command, str(tone), "--url", server.url]) == code
        out, err = capsys.readouterr()
        assert "hello world0" in out, "the rest is given"
        assert "0.5 s to 0.8 s" in err


def test_the_second_ctrl_c_is_one_line_and_130(serve: Serve, tone: Path) -> None:
    hold = asyncio.Event()
    server = serve(Script(hold=hold))
    with subprocess.Popen([*COHEAR, "stream", str(tone), "--url", server.url, "--json"], **PIPES) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()  # `ready` is there: it streams
        run.send_signal(signal.SIGINT)
        run.stderr.readline()
        run.send_signal(signal.SIGINT)
        _, err = run.communicate()
    hold.set()  # the server's loop sees it when it is told to end
    assert run.returncode == 130
    assert err == "cohear: interrupted\n"


def test_a_reader_that_leaves_ends_the_run_quietly(serve: Serve, tmp_path: Path) -> None:
    server = serve(Script())
    arguments = ["stream", str(write_tone(tmp_path / "long.wav", 60.0)), "--url", server.url, "--json", "--speed", "0"]
    with subprocess.Popen([*COHEAR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.readline()
        run.stdout.close()
        err = run.stderr.read()
    assert run.returncode == 1
    assert err == ""


def test_several_runs_at_once(serve: Serve, tone: Path) -> None:
    server = serve(Script())
    codes: list[int] = []
    arguments = ["stream", str(tone), "--url", server.url, "--speed", "0", "--json"]
    threads = [threading.Thread(target=lambda: codes.append(main(arguments))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0] * 5
    assert len(server.seen.starts) == 5
