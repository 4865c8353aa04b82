"""`sfi speaks-for`: what it writes lets the tool act, and its mistakes are told in a sentence."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from conftest import Federation

from credentials import GID, URN, Issuer, Root, Trust, Verifier
from credentials.keys import new_ec_key, private_pem
from sfi_tool import folder
from sfi_tool.cli import main


@pytest.fixture
def home(tmp_path):
    """alice's folder, of an authority whose certificates are good today, and a portal's certificate."""
    fed, now = Federation("plc", keys=new_ec_key), datetime.now(UTC)

    def gid(name):
        key = new_ec_key()
        urn = URN("plc", "user", name)
        return fed.issuer.issue_gid(urn, key.public_key(), lifetime=timedelta(days=99), now=now), key

    alice, key = gid("alice")
    (tmp_path / "alice.key").write_bytes(private_pem(key))
    (tmp_path / "alice.gid").write_text(alice.pem)
    (tmp_path / "portal.pem").write_text(gid("portal")[0].leaf_pem)
    folder.write(
        tmp_path, user="plc.alice", registry="", aggregate="", key="alice.key", gid="alice.gid", roots="alice.gid"
    )
    (tmp_path / "root.pem").write_text(fed.root.pem)
    return tmp_path


def sfi(home, *arguments):
    return CliRunner().invoke(main, ["-d", str(home), "speaks-for", *map(str, arguments)])


def test_what_it_writes_lets_the_portal_act_for_as_long_as_was_said(home):
    done = sfi(home, home / "portal.pem", "--days", 3, "--out", home / "word.xml")
    assert done.exit_code == 0, done.output
    assert "urn:publicid:IDN+plc+user+portal may act for urn:publicid:IDN+plc+user+alice for 3 days" in done.output
    portal, now = GID.parse((home / "portal.pem").read_bytes()), datetime.now(UTC)
    verifier = Verifier(Trust([Root(GID.parse((home / "root.pem").read_bytes()), ("plc",))]))
    speaks_for = verifier.verify_speaks_for((home / "word.xml").read_bytes(), tool=portal, user=None, now=now)
    assert speaks_for.user_urn == URN("plc", "user", "alice")
    assert timedelta(days=2) < speaks_for.expires_at - now <= timedelta(days=3)


def test_a_file_that_holds_no_certificate_is_told(home):
    done = sfi(home, home / "alice.key")
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert list(home.glob("*.xml")) == []


def test_an_authority_lets_no_tool_act_for_it(home):
    key = new_ec_key()
    root = Federation("plc", keys=lambda: key)
    (home / "alice.gid").write_text(Issuer(root.root, key).gid.pem)
    (home / "alice.key").write_bytes(private_pem(key))
    done = sfi(home, home / "portal.pem")
    assert done.exit_code == 1
    assert "tools speak for users" in done.output
