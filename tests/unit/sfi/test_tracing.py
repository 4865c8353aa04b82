"""What -D prints can be shown to others; what -R writes is whole."""

import json
from datetime import timedelta

import pytest
from conftest import NOW, Federation

from credentials import URN
from credentials.keys import new_ec_key, private_pem, ssh_public_key
from sfi_tool.errors import Unreadable
from sfi_tool.servers import Exchange
from sfi_tool.tracing import Raw, redacted, watchers


@pytest.fixture(scope="module")
def secrets():
    """Things that must not be seen, by name, each with a piece of itself to look for."""
    fed, key = Federation("plc", keys=new_ec_key), new_ec_key()
    gid = fed.issuer.issue_gid(URN("plc", "user", "alice"), key.public_key(), lifetime=timedelta(days=9), now=NOW)
    credential = fed.issuer.issue_credential(
        owner=gid, target=gid, privileges={"info": True}, expires_at=NOW + timedelta(days=1)
    ).decode()
    private, public = private_pem(key).decode(), ssh_public_key(key.public_key())
    return {
        "credential": (credential, "SignatureValue"),
        "certificate": (gid.pem, gid.pem.splitlines()[2]),
        "private key": (private, private.splitlines()[2]),
        "public key": (f"{public} alice", public.split()[1]),
    }


@pytest.mark.parametrize("what", ["credential", "certificate", "private key", "public key"])
def test_keys_and_credentials_are_left_out_wherever_they_are(secrets, what):
    text, piece = secrets[what]
    value = {"list": [{"geni_value": text}, f"before {text} after"], "other": 1}
    told = json.dumps(redacted(value))
    assert piece not in told
    assert f"<{what} left out>" in told
    assert "before" in told


def test_a_credential_that_is_cut_off_is_left_out_too(secrets):
    text, _ = secrets["credential"]
    assert "<credential left out>" in str(redacted(text[: len(text) // 2]))
    assert "X509Certificate" not in str(redacted(text[:-20]))


def test_passwords_are_left_out():
    assert redacted({"password": "x", "name": "y"}) == {"password": "<left out>", "name": "y"}


def exchange(**more):
    values = {"url": "https://h/", "method": "Status", "arguments": (), "answer": {"value": [1]}, "took": 0.1}
    return Exchange(**{**values, **more})


def test_raw_answers_are_lines_of_json_for_programs(tmp_path):
    watch = watchers(verbosity=0, raw=Raw(str(tmp_path / "raw"), form="json", banner=None))
    watch(exchange())
    watch(exchange(method="Describe", answer="text"))
    lines = (tmp_path / "raw").read_text().splitlines()
    assert [json.loads(line)["method"] for line in lines] == ["Status", "Describe"]
    assert json.loads(lines[0])["answer"] == {"value": [1]}


def test_raw_answers_for_people_stand_between_banners(tmp_path):
    Raw(str(tmp_path / "raw"), form="text", banner="-----")(exchange(answer=2))
    assert (tmp_path / "raw").read_text() == "-----\nStatus\n2\n-----\n"


def test_a_file_that_can_not_be_written_is_told(tmp_path):
    with pytest.raises(Unreadable):
        Raw(str(tmp_path / "no" / "where"), form="json", banner=None)


def test_nobody_is_told_when_nobody_asked():
    assert watchers(verbosity=0, raw=None) is None
