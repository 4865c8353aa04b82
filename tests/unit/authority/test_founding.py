"""Founding an installation, once and again."""

import tomllib

import pytest
from conftest import NOW
from cryptography import x509
from stores import empty_store

from credentials import GID, URN, Root, Trust, Verifier
from credentials.keys import new_ec_key, private_pem, read_private_key
from sfa_am.authority import Authority, Registry, found
from sfa_am.config import from_values
from sfa_am.slices.gate import Gate
from sfa_am.store import registry, trust


class Home:
    """A state folder to found installations in."""

    def __init__(self, path):
        self.path = path
        self.store = empty_store(path)

    def found(self, authority="plc", **server):
        config = from_values({"aggregate": {"authority": authority}, "server": server})
        return found(self.path, config, self.store, now=NOW)

    def gid(self, name):
        return GID.parse((self.path / name).read_bytes())

    def files(self):
        return {
            path: path.read_bytes() for path in self.path.rglob("*") if path.is_file() and "sqlite" not in path.name
        }


def hosts(gid):
    names = gid.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = [*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.IPAddress)]
    return {str(host) for host in found}


@pytest.fixture
def home(tmp_path, spare_keys):
    made = Home(tmp_path)
    yield made
    made.store.close()


def test_the_server_is_certified_by_the_root_for_its_hosts(home):
    home.found(public_host="am.example.org")
    server = home.gid("authority/am.gid")
    assert server.urn == URN("plc", "authority", "am")
    Trust([Root(home.gid("authority/root.gid"), ("plc",))]).check_gid(server, now=NOW)
    assert hosts(server) == {"am.example.org", "localhost", "127.0.0.1", "::1"}


def test_private_keys_are_for_the_server_alone(home):
    home.found()
    for folder in ("authority", "operator"):
        assert (home.path / folder).stat().st_mode & 0o777 == 0o700
    for path in [*(home.path / "authority").glob("*.key"), *(home.path / "operator").iterdir()]:
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_the_operator_may_register_others_at_once(home):
    authority = home.found()
    kept = Registry(home.store, Gate(home.store), authority, from_values({}).registry)
    operator = home.gid("operator/operator.gid")
    own = kept.self_credential(operator, URN("plc", "user", "operator"), now=NOW)
    document = kept.credential(operator, [own], kept.urn, now=NOW)
    verifier = Verifier(Trust([Root(home.gid("operator/roots.pem"), ("plc",))]))
    allowed = verifier.verify(document, caller=operator, target=kept.urn, operation="register", now=NOW)
    assert allowed.actor == URN("plc", "user", "operator")


def test_founding_again_changes_no_key_and_no_name(home):
    home.found()
    before = home.files()
    home.found()
    after = home.files()
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed <= {"am.gid", "am-rsa.gid"}
    with home.store.reading() as tx:
        assert len(trust.everything(tx)) == 1
        assert len(registry.members(tx)) == 1


def test_a_server_that_got_another_name_gets_another_certificate(home):
    home.found(public_host="old.example.org")
    home.found(public_host="new.example.org")
    assert "new.example.org" in hosts(home.gid("authority/am.gid"))
    assert "new.example.org" in (home.path / "operator" / "sfi.toml").read_text()


@pytest.mark.parametrize(
    "lost", ["operator/operator.gid", "operator/roots.pem", "operator/sfi.toml", "authority/am.gid"]
)
def test_what_an_interrupted_founding_left_out_is_made_the_next_time(home, lost):
    home.found()
    (home.path / lost).unlink()
    home.found()
    assert (home.path / lost).is_file()


def test_an_operator_who_lost_the_key_gets_a_certificate_for_the_new_one(home):
    authority = home.found()
    (home.path / "operator" / "operator.key").write_bytes(private_pem(new_ec_key()))
    home.found()
    key = read_private_key((home.path / "operator" / "operator.key").read_bytes())
    operator = home.gid("operator/operator.gid")
    assert operator.public_key == key.public_key()
    kept = Registry(home.store, Gate(home.store), authority, from_values({}).registry)
    assert kept.self_credential(operator, URN("plc", "user", "operator"), now=NOW)


def test_a_name_with_dots_survives_into_the_operators_settings(home):
    home.found(authority="example.org:lab")
    values = tomllib.loads((home.path / "operator" / "sfi.toml").read_text())
    assert URN.from_hrn(values["user"], "user") == URN("example.org:lab", "user", "operator")


def test_the_keys_of_an_installation_are_found_again(home):
    made = home.found()
    assert Authority.load(home.path / "authority").issuer.gid.pem == made.issuer.gid.pem
