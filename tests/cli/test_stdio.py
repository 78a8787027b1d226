"""Each as a program of its own: what is closed or full is closed or full from its first line on."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from cohear_cli import stdio
from cohear_client.errors import ClientError

REPORT = """
import sys
from cohear_cli import stdio
from cohear_client.errors import ClientError
stdio.make_fit()
print("text" + sys.argv[1])
stdio.say("remark")
try:
    stdio.finish_output()
except ClientError as fault:
    stdio.say(str(fault))
except BrokenPipeError:
    stdio.say("gone")
"""


def run(shell: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = ["sh", "-c", f'"$0" -c "$1" "$2" {shell}', sys.executable, REPORT, text]
    return subprocess.run(
        command, capture_output=True, check=False, timeout=200, env={"LC_ALL": "C.UTF-8"} | environment
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(("shell", "reason"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")])
def test_output_that_cannot_be_written_is_told_once(shell: str, reason: str, unbuffered: str) -> None:
    code = REPORT.replace('print("text" + sys.argv[1])', "import argparse; argparse.ArgumentParser().print_help()")
    command = ["sh", "-c", f'"$0" -c "$1" x {shell}', sys.executable, code]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=200, env={"PYTHONUNBUFFERED": unbuffered})
    remark, told = ran.stderr.decode().splitlines()
    assert remark == "remark"
    assert told.startswith("standard output cannot be written")
    assert reason in told
    assert ran.returncode == 0


def test_errors_that_cannot_be_written_end_nothing() -> None:
    for shell in ("2>&-", "2>/dev/full"):
        ran = run(shell)
        assert (ran.stdout, ran.stderr, ran.returncode) == (b"text\n", b"", 0)


def test_characters_that_the_encoding_lacks_become_question_marks() -> None:
    assert run("", "äλ", PYTHONIOENCODING="cp1252").stdout == b"text\xe4?\n"


def test_json_escapes_what_the_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"text": "äλ", "name": "\udcff"}
    for encoding in ("ascii", "cp1252", "utf-8"):
        output = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", output)
        stdio.print_json(data)
        output.seek(0)
        assert json.loads(output.read()) == data


def test_a_failure_is_raised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", stdio._watched(full))
        print("text")
        with pytest.raises(ClientError, match="cannot be written"):
            stdio.finish_output()
        stdio.finish_output()
