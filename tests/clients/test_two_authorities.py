"""Two installations that trust each other as far as their operators say: A has the machines, B has a user.

Both are whole servers. B's user works at A once A's operator has confirmed B's fingerprint, and is refused there soon
after B has revoked them.
"""

import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from clients.conftest import User
from clients.simulated_server import SimulatedServer

from credentials import GID, URN, Issuer, self_signed_root
from credentials.keys import new_ec_key
from sfa_am.authority import Authority
from sfa_am.authority.introductions import with_colons
from sfa_am.authority.keys import SERVER_FOR
from sfa_am.cli import main
from sfa_am.store import Store, revocation
from sfa_am.wire import outgoing
from sfi_tool.errors import Refusal
from sfi_tool.folder import Folder
from sfi_tool.identity import Session

_LOOKS_AGAIN_WITHIN = 2.0
"""Seconds in which a server is to know what its store has been told."""


class Two:
    """A and B; A fetches revocation lists twice a second."""

    def __init__(self, a, b, folder):
        self.a, self.b = a, b
        self.authority_of_b = Authority.load(b.state / "authority")
        self.fingerprint_of_b = self.authority_of_b.issuer.gid.fingerprint
        b.sfi("user", "add", "bob", "--email", "bob@example.org", "--out", folder)
        b.sfi("slice", "add", "demo", "--member", "bob")
        self.bob = User(b, folder)
        # Bob's folder is for B's own aggregate; he wants to use A's, whose root A's operator gave him.
        settings = (folder / "sfi.toml").read_text()
        (folder / "sfi.toml").write_text(settings.replace(str(b.am_port), str(a.am_port)))
        with (folder / "roots.pem").open("a") as roots:
            roots.write(Authority.load(a.state / "authority").issuer.gid.pem)
        self.session = Session(Folder.open(folder))

    def url_of_b(self, path=""):
        return f"https://127.0.0.1:{self.b.registry_port}/{path}"

    def lists_at_a(self):
        store = Store.in_folder(self.a.state)
        try:
            with store.reading() as tx:
                return {row.issuer_fingerprint: row for row in revocation.lists(tx)}
        finally:
            store.close()

    def refusal_by_a(self, method, *arguments):
        with pytest.raises(Refusal) as caught:
            self.session.aggregate.call_am(method, *arguments)
        assert caught.value.code == 3
        return str(caught.value)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    home = tmp_path_factory.mktemp("two")
    a = SimulatedServer(home / "a", authority="plc", settings={"trust.crl_minutes": 0.01})
    b = SimulatedServer(home / "b", authority="lab")
    # B was founded long ago: the certificate of its server has a week left.
    folder, long_ago = b.state / "authority", datetime.now(UTC) - SERVER_FOR + timedelta(days=7)
    Authority.load(folder).certify_server(folder, ["127.0.0.1"], now=long_ago)
    with a, b:
        yield Two(a, b, home / "bob")


@pytest.fixture(scope="module")
def federated(two):
    said = two.a.sfa_am("federate", two.url_of_b(), "--fingerprint", two.fingerprint_of_b)
    assert "authority+sa is trusted for lab from now on" in said
    assert "GetVersion answers from a server that urn:publicid:IDN+lab+authority+sa certified: " in said
    return two


def test_nothing_is_trusted_that_nobody_confirmed(two):
    before = two.a.sfa_am("trust", "list")
    own = Authority.load(two.a.state / "authority").issuer.gid.fingerprint
    assert "nothing is trusted" in two.a.sfa_am_refuses("federate", two.url_of_b(), "--fingerprint", own)
    half = two.fingerprint_of_b[:32]
    assert "nothing is trusted" in two.a.sfa_am_refuses("trust", "fetch", two.url_of_b(), "--fingerprint", half)
    assert "Aborted" in two.a.sfa_am_refuses("trust", "fetch", two.url_of_b())  # there is nobody to ask
    assert two.a.sfa_am("trust", "list") == before
    assert "which is no root trusted here" in two.a.sfa_am_refuses("trust", "crl", "add", _saved_list(two))
    assert "does not trust" in two.bob.refused("allocate", "demo", _request(two))


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_who_is_asked_and_says_nothing_has_trusted_nobody(two, answer):
    before = two.a.sfa_am("trust", "list")
    asked = CliRunner().invoke(main, ["--state", str(two.a.state), "trust", "fetch", two.url_of_b()], input=answer)
    assert asked.exit_code == 1
    assert with_colons(two.fingerprint_of_b) in asked.output
    assert "Is the fingerprint the one its operator told you?" in asked.output
    assert two.a.sfa_am("trust", "list") == before


def test_another_root_of_a_trusted_name_is_pointed_out_before_anybody_is_asked(two, tmp_path):
    twin = self_signed_root(
        URN("lab", "authority", "sa"), new_ec_key(), lifetime=timedelta(days=9), now=datetime.now(UTC)
    )
    (tmp_path / "twin.pem").write_text(twin.pem)
    two.a.sfa_am("trust", "add", tmp_path / "twin.pem", "--yes")
    try:
        asked = CliRunner().invoke(main, ["--state", str(two.a.state), "trust", "fetch", two.url_of_b()], input="n\n")
    finally:
        two.a.sfa_am("trust", "remove", twin.fingerprint)
    warned, question = asked.output.index("IS TRUSTED HERE ALREADY"), asked.output.index("Is the fingerprint")
    assert warned < question
    assert with_colons(twin.fingerprint) in asked.output


def test_a_root_above_us_is_trusted_only_for_names_that_were_said(two, tmp_path):
    """B's root is for "lab" and all below it: an installation "lab:room" would let it speak of its own users."""
    state = ["--state", str(tmp_path / "room")]
    CliRunner().invoke(main, [*state, "init", "--authority", "lab:room"], catch_exceptions=False)
    fetch = [*state, "trust", "fetch", two.url_of_b(), "--fingerprint", two.fingerprint_of_b]
    refused = CliRunner().invoke(main, fetch)
    assert refused.exit_code == 1
    assert "lab+authority+sa would vouch for names of urn:publicid:IDN+lab:room+authority+sa" in refused.output
    taken = CliRunner().invoke(main, [*fetch, "--names", "lab:garden"])
    assert "is trusted for lab:garden from now on" in taken.output
    assert two.b.sfa_am_refuses("federate", two.url_of_b()).endswith("shows no root but ours\n")


def test_a_server_shows_a_new_certificate_before_the_old_one_ends(two):
    own = outgoing.Own.of(two.a.state)
    for port in (two.b.am_port, two.b.registry_port):
        shown = outgoing.shown_chain(f"https://127.0.0.1:{port}/", own=own)
        assert shown.not_after > datetime.now(UTC) + SERVER_FOR - timedelta(days=1)
        assert two.authority_of_b.issuer.gid.same_certificate(shown.issuer)


def test_an_aggregate_is_known_by_the_chain_that_it_shows(two):
    aggregate = f"https://127.0.0.1:{two.b.am_port}/am/3"
    shown = two.a.sfa_am_refuses("trust", "fetch", aggregate, "--fingerprint", "00")
    assert "no root with the fingerprint 00 is shown" in shown


def test_a_user_of_b_works_at_a(federated):
    federated.bob("create", "demo", _request(federated))
    assert "ready" in federated.bob("status", "demo")


def test_the_list_is_had_by_plain_get_with_any_certificate(federated, tmp_path):
    key, chain = federated.session.folder.key, federated.session.folder.gid
    roots = federated.session.folder.roots
    command = ["curl", "-sS", "--cacert", roots, "--cert", chain, "--key", key, federated.url_of_b("crl.pem")]
    try:
        (tmp_path / "crl.pem").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    except FileNotFoundError:
        pytest.skip("needs the program curl")
    assert "Held from now on: 0 revoked" in federated.a.sfa_am("trust", "crl", "add", tmp_path / "crl.pem")


@pytest.mark.parametrize("authority", ["plc", "elsewhere", "labor"])
def test_b_says_nothing_about_names_that_are_not_its_own(federated, authority):
    """B's operator signs with B's key what B's programs would not: a credential about a slice of somebody else's."""
    now = datetime.now(UTC)
    issuer = federated.authority_of_b.issuer
    pretended = self_signed_root(URN(authority, "authority", "sa"), issuer.key, lifetime=timedelta(days=1), now=now)
    forger = Issuer(pretended, issuer.key)
    name = URN(authority, "slice", "taken")
    target = forger.issue_gid(name, issuer.key.public_key(), lifetime=timedelta(days=1), now=now)
    owner = GID.parse(federated.session.gid.read_bytes())
    for signer in (issuer, forger):
        document = signer.issue_credential(
            owner=owner, target=target, privileges={"*": True}, expires_at=now + timedelta(hours=1)
        ).decode()
        sent = [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": document}]
        said = federated.refusal_by_a("Allocate", str(name), sent, _request(federated).read_text(), {})
        assert "not below it" in said or "is trusted here for lab" in said


def test_a_user_whom_b_revoked_is_refused_at_both(federated):
    a, b = federated.a, federated.b
    assert "0 revoked" in a.sfa_am("trust", "crl", "add", federated.url_of_b("crl.pem"))
    assert "ready" in federated.bob("status", "demo")
    before = federated.lists_at_a()[federated.fingerprint_of_b]
    assert "Revoked 1 certificate of lab.bob" in b.sfa_am("user", "revoke", "lab.bob")
    a.wait_for(lambda: len(federated.lists_at_a()[federated.fingerprint_of_b].crl) == 1)
    time.sleep(_LOOKS_AGAIN_WITHIN)
    assert "user+bob was revoked" in federated.bob.refused("status", "demo")
    own = federated.session
    with pytest.raises(Refusal, match="revoked"):
        own.registry.call("GetCredential", [own.user_credential()], "lab.demo", "slice")
    with pytest.raises(Refusal, match="can register a new key"):
        own.registry.call("GetSelfCredential", own.gid.read_text(), "lab.bob", "user")
    held = federated.lists_at_a()[federated.fingerprint_of_b]
    assert before.crl.is_older_than(held.crl)
    # Somebody who brings back the list of before can't have Bob accepted again.
    (a.state / "old.pem").write_text(before.crl.pem)
    assert "is older than the one held here" in a.sfa_am_refuses("trust", "crl", "add", a.state / "old.pem")


def _request(two):
    path = two.a.state / "request.xml"
    path.write_text(
        '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">'
        '<node client_id="n1"><sliver_type name="container"/></node></rspec>'
    )
    return path


def _saved_list(two):
    path = two.b.state / "list.pem"
    path.write_text(two.b.sfa_am("authority", "crl"))
    return path
