"""What the client's command shows names no secret of its owner, in words or in JSON."""

import json
import subprocess
import sys

import pytest

from lockgate_updater.command.output import fit_to_show, print_json, print_words

PASSWORD = "http://anna77:s3cret@mirror.example.com:8080/x/myapp/metadata/timestamp.json"
PRESIGNED = "https://b.example.com/k?X-Amz-Credential=AKIA%2Fx&X-Amz-Signature=5d672d79"


def test_a_password_and_a_signature_are_shown_to_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_words(f"{PASSWORD}: cannot be fetched")
    print_json({"result": "unknown", "why": [PRESIGNED, {"from": PASSWORD}], "n": 1, "no": None})
    shown = capsys.readouterr()
    assert shown.err == fit_to_show(f"{PASSWORD}: cannot be fetched") + "\n"
    assert "mirror.example.com:8080/x/myapp" in shown.err
    value = json.loads(shown.out)
    assert (value["n"], value["no"], value["result"]) == (1, None, "unknown")
    for secret in ("anna77", "s3cret", "5d672d79", "AKIA"):
        assert secret not in shown.out + shown.err


def test_a_text_without_suspicion_costs_no_import() -> None:
    code = (
        "import sys; from lockgate_updater.command.output import print_words, print_json;"
        "print_words('stable offers nothing newer than 1.4.0');"
        "print_json({'result': 'up-to-date'});"
        "sys.exit('lockgate_release.log' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
