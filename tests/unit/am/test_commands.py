"""`sfa-am` on a state folder, without a server."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner
from conftest import NOW

from credentials import CRL, GID
from sfa_am.cli import main
from sfa_am.errors import Forbidden
from sfa_am.slices.gate import Gate
from sfa_am.store import Store


@pytest.fixture
def run(tmp_path, spare_keys):
    def command(*arguments, code=0):
        done = CliRunner().invoke(main, ["--state", str(tmp_path / "state"), *arguments])
        assert done.exit_code == code, done.output
        return done.output

    return command


def test_init_founds_an_installation_and_may_be_run_again(run, tmp_path):
    run("init", "--authority", "example.org:lab")
    state = tmp_path / "state"
    gid = (state / "operator" / "operator.gid").read_bytes()
    key = (state / "authority" / "root.key").read_bytes()
    run("init")
    assert (state / "authority" / "root.key").read_bytes() == key
    assert GID.parse((state / "operator" / "operator.gid").read_bytes()).fingerprint == GID.parse(gid).fingerprint
    assert str(GID.parse(gid).urn) == "urn:publicid:IDN+example.org:lab+user+operator"


def test_keys_are_for_their_owner_only(run, tmp_path):
    run("init")
    state = tmp_path / "state"
    assert {state.stat().st_mode & 0o777, (state / "authority").stat().st_mode & 0o777} == {0o700}
    for path in [*(state / "authority").iterdir(), *(state / "operator").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_a_command_before_init_names_it(run):
    assert "init` makes one" in run("status", code=1)


def test_settings_given_to_init_are_checked(run):
    assert "did you mean am_port?" in run("init", "--set", "server.am_prt=1", code=1)


def test_trust_is_given_for_names_and_taken_away_without_a_restart(run, tmp_path, stranger):
    run("init", "--authority", "plc")
    store = Store.in_folder(tmp_path / "state")
    gate = Gate(store)
    document = stranger.credential()

    def admitted(now):
        gate.authorise_for_own_target(caller=stranger.alice.gid, documents=[document], operation="listnodes", now=now)

    with pytest.raises(Forbidden, match="does not trust"):
        admitted(NOW)
    certificate = tmp_path / "root.pem"
    certificate.write_text(stranger.root.pem)
    assert stranger.root.fingerprint in run("trust", "add", str(certificate), "--yes")
    admitted(NOW + timedelta(seconds=2))
    assert "elsewhere" in run("trust", "list")
    run("trust", "remove", stranger.root.fingerprint[:12])
    with pytest.raises(Forbidden):
        admitted(NOW + timedelta(seconds=4))
    store.close()


def test_names_that_are_none_are_refused_when_trust_is_given(run, tmp_path, stranger):
    run("init")
    certificate = tmp_path / "root.pem"
    certificate.write_text(stranger.root.pem)
    assert "authority" in run("trust", "add", str(certificate), "--names", "good, b ad", "--yes", code=1)
    certificate.write_text("nonsense")
    assert "certificate" in run("trust", "add", str(certificate), "--yes", code=1)


def test_roles_are_changed_and_strangers_are_not_known(run):
    run("init")
    assert "lead of example" in run("user", "list")
    assert "example.operator" in run("authority", "list")
    run("user", "role", "example.operator", "user", code=1)  # nobody would be left
    assert "lead of example" in run("user", "list")
    assert "not registered" in run("user", "role", "example.nobody", "pi", code=1)


def test_a_member_is_revoked_by_name_and_our_list_says_so(run):
    run("init")
    before = CRL.parse(run("authority", "crl").encode())
    assert "Revoked 1 certificate of example.operator." in run("user", "revoke", "example.operator")
    assert "were revoked before" in run("user", "revoke", "example.operator")
    after = CRL.parse(run("authority", "crl").encode())
    assert (len(before), len(after)) == (0, 1)
    assert before.is_older_than(after)
    assert "see `sfa-am user list`" in run("user", "revoke", "example.nobody", code=1)


def test_lists_are_held_shown_and_let_go_of(run, tmp_path, stranger):
    run("init")
    certificate, listed = tmp_path / "root.pem", tmp_path / "list.pem"
    certificate.write_text(stranger.root.pem)
    serial = stranger.alice.gid.leaf.serial_number
    listed.write_bytes(stranger.issuer.issue_crl({serial: NOW}, number=9, lifetime=timedelta(days=1), now=NOW))
    assert "no root trusted here" in run("trust", "crl", "add", str(listed), code=1)
    run("trust", "add", str(certificate), "--yes")
    said = run("trust", "crl", "add", str(listed))
    assert "Held from now on: 1 revoked, until 2026-06-02." in said
    assert stranger.root.fingerprint[:16] in run("trust", "crl", "list")
    (gid := tmp_path / "alice.gid").write_text(stranger.alice.gid.pem)
    assert "revoked" in run("credential", "inspect", str(gid), "--at", "2026-06-01T13:00:00Z", code=1)
    assert "what it revokes (1) is accepted" in run("trust", "crl", "remove", stranger.root.fingerprint[:10])
    run("credential", "inspect", str(gid), "--at", "2026-06-01T13:00:00Z")
    assert "can't be read" in run("trust", "crl", "add", str(tmp_path / "none.pem"), code=1)


def test_urls_that_can_not_be_called_are_refused_in_a_sentence(run):
    run("init")
    assert "is not a URL that can be called" in run("trust", "fetch", "am.example.org", code=1)
    assert "over TLS" in run("federate", "http://am.example.org/", code=1)


def test_services_are_told_of_and_taken_out_again(run):
    run("init")
    urn, url = "urn:publicid:IDN+other.org+authority+am", "https://am.other.org:12346/am/3"
    run("service", "add", urn, url, "--name", "the others")
    assert "the others" in run("service", "list")
    assert "not a URL" in run("service", "add", urn, "nowhere", "--name", "x", code=1)
    run("service", "remove", urn, url)
    assert "was not added" in run("service", "remove", urn, url, code=1)


@pytest.mark.needs("root", "qemu-img")
def test_images_are_imported_listed_and_deleted_in_the_folder_that_the_settings_name(run, tmp_path):
    folder, disk = tmp_path / "images", tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    run("init", "--set", f'backend.image_folder="{folder}"')
    assert json.loads(run("image", "list", "--json")) == []
    words = ("--format", "raw", "--os", "Linux", "--os-version", "6", "--description", "Mine")
    said = run("image", "import", "mine", str(disk), *words)
    (listed,) = json.loads(run("image", "list", "--json"))
    assert said == f"mine is offered, as {listed['edition']}, 1 MiB.\n"
    assert (folder / listed["edition"] / "disk.qcow2").is_file()
    seen = [listed[key] for key in ("name", "form", "os", "version", "description", "source", "is_offered")]
    assert seen == ["mine", "vm", "Linux", "6", "Mine", "disk.raw", True]
    assert run("image", "delete", "mine") == "mine is not offered any more.\n"
    assert json.loads(run("image", "list", "--json")) == []


def test_images_that_can_not_be_are_refused_in_a_sentence(run, tmp_path):
    run("init", "--set", f'backend.image_folder="{tmp_path / "images"}"')
    refused = run("image", "import", "Mine", str(tmp_path / "absent"), "--format", "raw", code=1)
    assert refused.startswith("Error: 'Mine' can't be the name of an image")
    assert "absent: No such file" in run("image", "import", "mine", str(tmp_path / "absent"), "--format", "raw", code=1)
    assert "is built in" in run("image", "delete", "debian-12", code=1)
    assert "imported are: none" in run("image", "delete", "mine", code=1)
    assert "there are local" in run("image", "--backend", "other", "list", code=1)


def test_the_images_of_hosts_on_a_bus_are_theirs(run):
    run("init", "--set", 'backend.bus="nats://127.0.0.1:4222"')
    assert "run `sfa-node image`" in run("image", "list", code=1)
