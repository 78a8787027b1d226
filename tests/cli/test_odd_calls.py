"""Ways to call it wrongly or oddly, each as a program of its own: no traceback, no hang, no silence, and the exit code
that docs/command-line.md promises.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from cohear_cli.usage import EXIT_CODES, EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_WARNED

from ..client.conftest import Serve, write_tone
from ..client.fake_server import Script
from ..samples import FOLDER as SAMPLES

TIMEOUT_S = 200
BASE = (
    "cohear_cli",
    "cohear_client",
    "cohear_server",
    "msgspec",
    "numpy",
    "soundfile",
    "websockets",
    "_soundfile",
    "cffi",
)
"""What a base install has, with its C parts."""
WHOLE = "import sys; from cohear_cli import main; sys.exit(main())"
BARE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and not top.startswith(("_", {", ".join(map(repr, BASE))})):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
{WHOLE}
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A line for the shell; `cohear` is the command, `bare` the same where nothing but the base is installed."""

    line: str
    code: int
    says: str
    """a pattern in what it prints; nothing for a call that nobody can be told of"""

    def __str__(self) -> str:
        return self.line


def wrong(line: str, says: str) -> Call:
    return Call(line, EXIT_USAGE, says)


def failed(line: str, says: str) -> Call:
    return Call(line, EXIT_FAILED, says)


def fine(line: str, says: str) -> Call:
    return Call(line, EXIT_DONE, says)


USAGE = [
    wrong("cohear", "required: COMMAND"),
    wrong("cohear sing", "invalid choice: 'sing'"),
    wrong("cohear --nope", "required: COMMAND"),
    wrong("cohear stream", "required: FILE"),
    wrong("cohear stream tone.wav more.wav", "unrecognized arguments: more.wav"),
    wrong("cohear stream tone.wav --speed -1", "--speed: -1 is not in 0 to 1000"),
    wrong("cohear stream tone.wav --speed fast", "'fast' is not a number"),
    wrong("cohear stream tone.wav --speed nan", "nan is not in 0 to 1000"),
    wrong("cohear stream tone.wav --endpoint-ms 7", "7 is not in 100 to 5000"),
    wrong("cohear stream tone.wav --task sing", "invalid choice: 'sing'"),
    wrong("cohear stream - --rate 5", "--rate: 5 is not in 8000 to"),
    wrong("cohear stream - --rate 16k", "'16k' is not a whole number"),
    wrong("cohear stream - --encoding mp3", "invalid choice: 'mp3'"),
    wrong("cohear stream - --channels 99", "--channels: 99 is not in 1 to"),
    wrong("cohear transcribe", "required: PATH"),
    wrong("cohear transcribe tone.wav --nope", "unrecognized arguments: --nope"),
    wrong("cohear transcribe tone.wav --format doc", "'doc' is no format; use txt, srt"),
    wrong("cohear transcribe tone.wav --format ''", "'' is no format"),
    wrong("cohear transcribe tone.wav --jobs 4", "--jobs only works with --url"),
    wrong("cohear transcribe tone.wav --key k", "--key only works with --url"),
    wrong("cohear transcribe tone.wav --endpoint-ms 700", "--endpoint-ms only works with --url"),
    wrong("cohear transcribe tone.wav --url ws://x --jobs 0", "0 is not in 1 to 256"),
    wrong("cohear transcribe tone.wav --url ws://x --beam-size 5", "--beam-size only works without --url"),
    wrong("cohear transcribe tone.wav --url ws://x --temperature 0.4", "--temperature only works without --url"),
    wrong("cohear transcribe tone.wav --url ws://x --device cpu", "--device only works without --url"),
    wrong("cohear transcribe tone.wav --beam-size many", "'many' is not a whole number"),
    wrong("cohear transcribe tone.wav --temperature 3", "3 is not in 0 to 1"),
    wrong("cohear transcribe tone.wav --vad-filter maybe", "'maybe' is not True or False"),
    wrong("cohear transcribe tone.wav --max_line_width 2", "2 is below 8"),
    wrong("cohear serve now", "unrecognized arguments: now"),
    wrong("cohear serve --port x", "--port: invalid int value: 'x'"),
    wrong("cohear serve --device tpu", "invalid choice: 'tpu'"),
    wrong("cohear keys", "required: ACTION"),
    wrong("cohear keys add", "required: NAME"),
    wrong("cohear models frob", "invalid choice: 'frob'"),
    wrong("cohear models info", "required: NAME"),
    wrong("cohear cache frob", "invalid choice: 'frob'"),
    wrong("cohear bench frob", "invalid choice: 'frob'"),
    wrong("cohear bench engine --speech folder", "folder has no manifest.jsonl"),
]

SOURCES = [
    failed("cohear stream none.wav", "none.wav: there is no such file: check the name"),
    failed("cohear stream ''", "is a folder: name the audio files in it"),
    failed("cohear stream folder", "folder: is a folder"),
    failed("cohear stream text.wav", "text.wav: holds text, not audio"),
    failed("cohear stream empty.wav", "empty.wav: the file is empty"),
    failed("cohear stream tone.wav --url ftp://x", "'ftp://x' is not the address of a server"),
    failed("cohear stream tone.wav --url ws://127.0.0.1:1", "nothing answers at 127.0.0.1:1: start a server with `"),
    failed("cohear stream - </dev/null", "no audio came through the pipe"),
    failed("cohear stream - <&-", "no audio came through the pipe"),
    failed(r"printf '\032\105\337\243%0500d' 0 | cohear stream -", "this is WebM"),
    failed("printf 'RIFF1234WAVEfmt ' | cohear stream -", "the WAV header is damaged"),
    failed("cohear transcribe none.wav", "none.wav: there is no such file"),
    failed("cohear transcribe '*.nothing'", "nothing has such a name"),
    failed("cohear transcribe folder", "folder: no audio or video files in this folder"),
    failed("cohear transcribe text.wav empty.wav", "empty.wav: the file is empty"),
    failed("cohear transcribe - </dev/null", "-: the file is empty|-: no audio|-: holds no audio"),
    failed("cohear transcribe $(printf 'a\\nb.wav')", "there is no such file"),
    failed("PYTHONIOENCODING=ascii cohear transcribe zoë.wav", "there is no such file"),
    failed("LC_ALL=C cohear transcribe $(printf '\\377.wav')", "there is no such file"),
    failed("cohear transcribe tone.wav --format txt -o text.wav/x", "cannot be made"),
    failed("cohear transcribe tone.wav --model /nowhere", "there is no folder /nowhere"),
    failed("cohear transcribe tone.wav --model no-such-model --offline", "no-such-model"),
    failed("cohear transcribe tone.wav --config none.toml", "none.toml: No such file"),
    failed("cohear transcribe tone.wav --config text.wav", "text.wav is not TOML"),
]

SETTINGS = [
    failed("cohear transcribe tone.wav --report .", "is a folder: name a file"),
    failed("cohear transcribe tone.wav --report text.wav/r.json", "text.wav/r.json: cannot be written"),
    failed("cohear stream tone.wav --url ''", "'' is not the address of a server"),
    failed("cohear stream tone.wav --url ws://127.0.0.1:99999", "is not the address of a server"),
    failed(
        "cohear stream tone.wav --url ws://127.0.0.1:1 --key $(printf 'a\\303\\274')", "the API key holds characters"
    ),
    failed("cohear serve --port 80000", "'port' is 80000: use 0 to 65535"),
    failed("cohear serve --port 0 --model /nowhere", "there is no folder /nowhere"),
    failed("cohear serve --host 0.0.0.0", "--open if all who can reach it may use it"),
    failed("cohear serve --host 203.0.113.7 --open", "cannot listen on 203.0.113.7"),
    failed("cohear serve --keys none.toml", "none.toml: there is no such file"),
    failed("cohear serve --ssl-certfile none.pem", "none.pem"),
    failed("cohear serve --config none.toml", "none.toml: No such file"),
    failed("COHEAR_PORT=abc cohear serve", "'port' is 'abc'"),
    failed("COHEAR_MODLE=base cohear serve --port 80000", "COHEAR_MODLE is no setting .*COHEAR_MODEL"),
    failed("cohear keys list --keys none.toml", "none.toml: there is no such file"),
    failed("cohear keys list --keys text.wav", "text.wav is not TOML|is not TOML"),
    failed("cohear keys add '' --keys keys.toml", "name"),
    failed("cohear models info no-such-model --model-dir folder", "no-such-model"),
    failed("cohear models path large-v3 --model-dir folder", "large-v3"),
    failed("cohear models verify /nowhere", "/nowhere"),
    failed("cohear cache info --cache-dir text.wav", "the cache cannot be used"),
]

OUTPUTS = [
    failed("cohear --help >/dev/full", "standard output cannot be written .No space left"),
    failed("cohear --help >&-", "standard output cannot be written .Bad file descriptor"),
    failed("cohear models list >/dev/full", "standard output cannot be written"),
    failed("cohear models list --json >&-", "standard output cannot be written"),
    failed("cohear cache info >/dev/full", "standard output cannot be written"),
    failed("cohear models list <&- >&- 2>&-", ""),
    fine("cohear models list 2>/dev/full", "tiny.en"),
    fine("cohear models list <&- 2>&-", "tiny.en"),
    wrong("cohear sing 2>/dev/full", ""),
    fine("(cohear models list --json || echo ended $?) | true; echo over", "over"),
    fine("PYTHONIOENCODING=ascii cohear models list", "tiny.en"),
    fine("cohear --version", "cohear "),
    fine("cohear transcribe --help", "usage: cohear transcribe PATH"),
]

BARE_INSTALL = [
    fine("bare --help", "exit codes:"),
    fine("bare transcribe --help", "usage: cohear transcribe"),
    failed("bare stream none.wav", "there is no such file"),
    *(
        failed(f"bare {command}", r"this needs the module [\w.]+: .*pip install .*\[(server|files)\]'")
        for command in ("serve", "serve --help", "models list", "transcribe tone.wav")
    ),
    failed("bare bench load", r"pip install .*\[(eval|server)\]'"),
    failed("bare mic", r"microphone support is not installed: .*pip install .*\[mic\]'"),
]

WITH_SERVER = [
    fine("cohear stream tone.wav --url $URL --speed 0", "hello world0"),
    failed("cohear stream tone.wav --url $URL --speed 0 >/dev/full", "standard output cannot be written"),
    failed("cohear stream tone.wav --url $URL --speed 0 --json >&-", "standard output cannot be written"),
    fine("head -c 20001 tone.wav | tail -c 19001 | cohear stream - --url $URL", "hello world0"),
    fine("head -c 4000 tone.wav | cohear stream - --url $URL", "no words were heard in 0.1 s of audio"),
    fine("cohear stream tone.wav --url $URL --speed 0 --endpoint_ms=300", "hello world0"),
    fine("cohear transcribe tone.wav ./tone.wav --url $URL", "1 of 1 files"),
    failed("cohear transcribe tone.wav none.wav --url $URL", "1 of 2 files.* 1 failed"),
    Call("cohear transcribe tone.wav cut.wav --url $URL", EXIT_WARNED, "cut.wav: "),
    fine("cohear transcribe tone.wav --url $URL --best_of 5 --fp16 False", "--best-of 5 has no effect"),
]

WITH_MODEL = [
    fine("cohear transcribe silence.wav", "silence.wav: no words were heard in 2.0 s of audio"),
    fine(
        "cohear transcribe five.flac --cache-dir /dev/null",
        "cache cannot be used .*: nothing of this run is remembered",
    ),
    fine("cohear transcribe - < five.flac", "5"),
    fine("COHEAR_MODEL= cohear transcribe five.flac", "5"),
    fine("cohear transcribe five.flac --live_transcribe True", "the microphone is `.*cohear mic`"),
    failed("cohear transcribe five.flac --report new/x/r.json >/dev/full", "standard output cannot be written"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with audio of every bad kind, and the commands in `bin`."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "bin").mkdir()
    for name, code in (("cohear", WHOLE), ("bare", BARE)):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
        program.chmod(0o755)
    write_tone(folder / "tone.wav")
    data = (folder / "tone.wav").read_bytes()
    (folder / "cut.wav").write_bytes(data[: len(data) * 2 // 3])
    shutil.copy(SAMPLES / "5_lucas_0.flac", folder / "five.flac")
    (folder / "cut.flac").write_bytes((folder / "five.flac").read_bytes()[:2_000])
    (folder / "text.wav").write_text("dear diary\n")
    (folder / "empty.wav").touch()
    (folder / "folder").mkdir()
    sf.write(folder / "silence.wav", np.zeros(32_000, np.int16), 16_000)
    return folder


def run(call: Call, place: Path, more: Mapping[str, str] | None = None) -> None:
    """Run it, and check what is true of every call."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COHEAR_", "PYTHON"))}
    environment = kept | {
        "PATH": f"{place / 'bin'}:{kept['PATH']}",
        "HOME": str(place),
        "COHEAR_CACHE_DIR": str(place / "cache"),
        "COHEAR_OFFLINE": "1",
        **(more or {}),
    }
    ran = subprocess.run(
        ["sh", "-c", call.line],
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = ran.stdout.decode(errors="replace") + ran.stderr.decode(errors="replace")
    assert "Traceback" not in said, said
    assert "Exception ignored" not in said, said
    assert re.search(call.says, said, re.DOTALL), said
    assert ran.returncode == call.code, said


@pytest.mark.parametrize("call", [*USAGE, *SOURCES, *SETTINGS, *OUTPUTS, *BARE_INSTALL], ids=str)
def test_odd_calls(call: Call, place: Path) -> None:
    run(call, place)


@pytest.mark.parametrize("call", WITH_SERVER, ids=str)
def test_odd_calls_with_a_server(call: Call, place: Path, serve: Serve) -> None:
    run(call, place, {"URL": serve(Script()).url})


@pytest.mark.model
@pytest.mark.usefixtures("tiny_en_dir")
@pytest.mark.parametrize("call", WITH_MODEL, ids=str)
def test_odd_calls_with_a_model(call: Call, place: Path) -> None:
    run(call, place)


def test_every_exit_code_but_that_of_an_interrupt_is_among_them() -> None:
    calls = [*USAGE, *SOURCES, *SETTINGS, *OUTPUTS, *BARE_INSTALL, *WITH_SERVER, *WITH_MODEL]
    assert {call.code for call in calls} == EXIT_CODES.keys() - {130}
    assert len({call.line for call in calls}) >= 60
