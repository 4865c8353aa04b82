"""`sfi` and a real registry: looking, registering, changing, certificates, delegation, the first contact."""

import json
import shutil

import pytest
from click.testing import CliRunner

from credentials import GID, URN, Root, Trust, Verifier
from credentials.credential import read
from credentials.keys import new_rsa_key, private_pem, ssh_public_key
from sfi_tool.cli import main
from sfi_tool.folder import Folder
from sfi_tool.identity import Session


def test_list_and_show_in_every_form(alice, new_slice, tmp_path):
    new_slice("shown")
    assert "plc.shown\tslice\tplc.alice" in alice("list", "-t", "sl")
    assert "plc.shown (Slice)  [USERS plc.alice]\n" in alice("list", "-f", "text")
    assert "alice@example.org" in alice("list", "-t", "us", "-v", "-f", "text")
    assert {record["type"] for record in alice.json("list", "-t", "user")} == {"user"}
    alice("list", "-o", tmp_path / "names", "-F", "hrnlist")
    assert "plc.shown\n" in (tmp_path / "names").read_text()
    alice("list", "-t", "sl", "-o", tmp_path / "record")
    assert 'type="slice"' in (tmp_path / "record.0").read_text()
    assert "    hrn: plc.shown\n" in alice("show", "shown", "-f", "text")
    assert alice.json("show", "shown", "-k", "hrn", "-k", "reg-researchers") == [
        {"hrn": "plc.shown", "reg-researchers": ["plc.alice"]}
    ]
    assert "<reg-researchers>plc.alice</reg-researchers>" in alice("show", "shown", "-f", "xml")
    assert "the registry has no user plc.shown" in alice.refused("show", "shown", "-t", "us")


def test_register_update_and_remove_as_with_sfawrap(operator, tmp_path):
    key = tmp_path / "bob.pub"
    key.write_text(f"{ssh_public_key(new_rsa_key().public_key())} bob\n")
    operator("register", "-x", "plc.bob", "-t", "us", "-e", "bob@example.org", "-k", key)
    (tmp_path / "slice.xml").write_text('<record hrn="plc.bobs" type="slice"><researcher>plc.bob</researcher></record>')
    operator("add", tmp_path / "slice.xml", "-X", "description=his")
    (record,) = operator.json("show", "bobs")
    assert (record["reg-researchers"], record["description"]) == (["plc.bob"], "his")
    operator("update", "-x", "plc.bobs", "-t", "sl", "-r", "bob,operator")
    assert operator.json("show", "bobs", "-k", "reg-researchers")[0]["reg-researchers"] == ["plc.bob", "plc.operator"]
    operator("update", "-x", "urn:publicid:IDN+plc+slice+bobs", "-r", "none")
    assert operator.json("show", "bobs", "-k", "reg-researchers")[0]["reg-researchers"] == []
    operator("remove", "bobs", "-t", "sl")
    operator("remove", "plc.bob", "-t", "us")
    assert "plc.bob" not in operator("list")


def test_changing_ones_own_address_needs_no_authority(alice):
    alice("update", "-x", "plc.alice", "-t", "us", "-e", "a@example.org")
    assert alice.json("show", "alice", "-k", "email") == [{"email": "a@example.org"}]
    alice("update", "-x", "plc.alice", "-t", "us", "-e", "alice@example.org")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("register",), "-x NAME"),
        (("register", "-x", "plc.x"), "-t user, slice, authority or node"),
        (("register", "-x", "plc.x", "-t", "us", "-X", "nothing"), "FIELD=VALUE"),
        (("register", "-x", "plc.x", "-t", "us", "-k", "no-file"), "neither an SSH public key nor a file"),
        (("register", "no-file.xml"), "can't be read"),
    ],
)
def test_a_record_that_is_not_said_whole_is_refused_before_anybody_is_asked(alice, arguments, says):
    assert says in alice.refused(*arguments, status=2)


def test_who_may_not_register_is_told_by_the_registry(alice):
    assert "(code 3)" in alice.refused("slice", "add", "mine")


def test_a_delegated_credential_is_believed_and_named_as_sfawrap_names_it(alice, new_slice):
    new_slice("passed")
    alice("delegate", "operator", "-s", "passed", "-u")
    written = alice.folder / "plc.passed.slice_for_plc.operator.user.cred"
    assert (alice.folder / "plc.alice.user_for_plc.operator.user.cred").is_file()
    root = GID.parse((alice.folder / "roots.pem").read_bytes())
    operator = GID.parse(alice("gid", "operator"))
    from datetime import UTC, datetime

    auth = Verifier(Trust([Root(root, ("plc",))])).verify(
        written.read_bytes(),
        caller=operator,
        target=URN("plc", "slice", "passed"),
        operation="createsliver",
        now=datetime.now(UTC),
    )
    assert str(auth.target) == "urn:publicid:IDN+plc+slice+passed"
    assert [privilege.may_delegate for privilege in read(written.read_bytes())[0].privileges] == [True] * 5


def test_who_is_not_registered_is_delegated_nothing(alice):
    assert "(code 2)" in alice.refused("delegate", "nobody")


def test_credentials_are_fetched_and_printed(alice, operator, new_slice, tmp_path):
    new_slice("fetched")
    assert "signed-credential" in alice("credential", "own")
    assert alice.json("credential", "slice", "fetched")["hrn"] == "plc.fetched"
    operator("credential", "authority", "-o", tmp_path / "authority.cred")
    assert "<name>authority</name>" in (tmp_path / "authority.cred").read_text()
    assert "(code 3)" in alice.refused("credential", "authority")


def test_gid_of_a_slice_and_to_a_file(alice, new_slice, tmp_path):
    new_slice("named")
    alice("gid", "named", "-o", tmp_path / "named.gid")
    assert GID.parse((tmp_path / "named.gid").read_bytes()).urn == URN("plc", "slice", "named")


def test_trusted_roots_are_those_of_the_registry(alice):
    (root,) = alice.json("trusted", "-R")
    assert GID.parse((alice.folder / "roots.pem").read_bytes()).fingerprint == root["sha256"]
    assert "sfi trusted -R" in alice.refused("trusted")


def test_what_a_server_does_not_tell_of_itself_is_a_refusal(alice):
    assert "known are" in alice.refused("introspect", "-R")


# The first contact, as from SFAWrap's folder


@pytest.fixture
def newcomer(server, operator, tmp_path):
    """A folder with sfi_config and a private key whose public half is registered: nothing else."""
    key = new_rsa_key()
    public = f"{ssh_public_key(key.public_key())} carol"
    operator("register", "-x", "plc.carol", "-t", "us", "-e", "carol@example.org", "-k", public)
    folder = tmp_path / "carol"
    folder.mkdir()
    (folder / "sfi_config").write_text(
        f"[sfi]\nauth = plc\nuser = plc.carol\nregistry = http://localhost:{server.registry_port}/\n"
        f"sm = http://localhost:{server.am_port}/\n"
    )
    (folder / "plc.carol.pkey").write_bytes(private_pem(key))
    yield folder
    operator("remove", "plc.carol", "-t", "us")


def fingerprint(alice):
    return GID.parse((alice.folder / "roots.pem").read_bytes()).fingerprint


def test_a_folder_of_sfawrap_works_once_the_root_is_agreed_to(newcomer, alice):
    def sfi(*arguments):
        return CliRunner().invoke(main, ["-d", str(newcomer), *arguments])

    unasked = sfi("list")
    assert unasked.exit_code == 3
    assert "--yes-trust FINGERPRINT" in unasked.stderr
    shown = unasked.stderr.replace(":", "").lower()
    assert fingerprint(alice) in shown
    assert not (newcomer / "roots.pem").exists()

    wrong = sfi("--yes-trust", "00" * 32, "list")
    assert wrong.exit_code == 3
    assert not (newcomer / "roots.pem").exists()

    first = sfi("--yes-trust", fingerprint(alice), "list")
    assert first.exit_code == 0, first.output
    names = {path.name for path in newcomer.iterdir()}
    assert {"plc.carol.sscert", "plc.carol.user.cred", "plc.carol.user.gid", "roots.pem"} <= names
    assert GID.parse((newcomer / "plc.carol.user.gid").read_bytes()).urn == URN("plc", "user", "carol")
    assert sfi("resources").exit_code == 0


def test_files_that_sfawrap_fetched_are_used_as_they_are(newcomer, alice):
    (newcomer / "roots.pem").write_bytes((alice.folder / "roots.pem").read_bytes())
    session = Session(Folder.open(newcomer))
    credential = session.user_credential()
    (newcomer / "plc.carol.user.cred").write_text(credential + "\n<!-- as it was -->")
    assert Session(Folder.open(newcomer)).user_credential().endswith("<!-- as it was -->")


def test_a_certificate_of_another_key_is_told_with_the_remedy(newcomer, alice):
    (newcomer / "roots.pem").write_bytes((alice.folder / "roots.pem").read_bytes())
    (newcomer / "plc.carol.user.gid").write_bytes((alice.folder / "alice.gid").read_bytes())
    refused = CliRunner().invoke(main, ["-d", str(newcomer), "list"])
    assert refused.exit_code == 2
    assert "is fetched anew when plc.carol.user.gid is removed" in refused.stderr


def test_a_server_of_another_authority_is_not_believed(newcomer, alice, tmp_path):
    from datetime import UTC, datetime, timedelta

    from credentials import self_signed_root
    from credentials.keys import new_ec_key

    urn = URN("plc", "authority", "sa")
    impostor = self_signed_root(urn, new_ec_key(), lifetime=timedelta(days=1), now=datetime.now(UTC))
    (newcomer / "roots.pem").write_text(impostor.pem)
    refused = CliRunner().invoke(main, ["-d", str(newcomer), "list"])
    assert refused.exit_code == 3
    assert "is not who it should be" in refused.stderr


def test_a_server_that_is_not_there_is_told_apart(newcomer, alice):
    (newcomer / "roots.pem").write_bytes((alice.folder / "roots.pem").read_bytes())
    away = CliRunner().invoke(main, ["-d", str(newcomer), "-r", "http://localhost:1/", "list"])
    assert away.exit_code == 3
    assert "localhost:1 can't be reached" in away.stderr


def test_a_registry_in_the_place_of_an_aggregate_is_told(alice, server):
    refused = alice.refused("-s", f"http://localhost:{server.registry_port}/", "resources")
    assert "is a registry, not an aggregate" in refused


def test_debug_shows_calls_and_no_secrets(alice):
    shutil.rmtree(alice.folder / "cache")
    done = alice.run("-D", "list")
    assert "GetSelfCredential" in done.stderr
    assert "<credential left out>" in done.stderr
    assert "<certificate left out>" in done.stderr
    for secret in ("SignatureValue", "BEGIN", "AAAAB3"):
        assert secret not in done.stderr
    assert "List" in alice.run("-v", "list").stderr


def test_raw_answers_are_whole(alice, tmp_path):
    alice("-R", tmp_path / "raw", "--rawformat", "json", "show", "alice")
    (line,) = (tmp_path / "raw").read_text().splitlines()
    assert json.loads(line)["answer"][0]["gid"].startswith("-----BEGIN CERTIFICATE-----")
