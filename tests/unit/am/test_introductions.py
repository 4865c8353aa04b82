"""What an operator is told of a root before they say yes."""

import pytest
from conftest import NOW, Federation

from credentials import GID
from credentials.keys import new_ec_key
from sfa_am.authority.introductions import introduced, plain_fingerprint, touches_own_names, with_colons
from sfa_am.store.trust import RootRow

OWN = Federation("plc:lab", keys=new_ec_key)
PEER = Federation("peer", keys=new_ec_key)
TWIN = Federation("peer", keys=new_ec_key)


def row(gid, *names):
    return RootRow(
        fingerprint=gid.fingerprint, gid=gid.pem, names=names, legacy_sha1=False, added_at=NOW, added_by="test"
    )


def of(*shown, trusted=(), names=None):
    return introduced(shown, trusted=[row(OWN.root, "plc:lab"), *trusted], own=OWN.root, names=names)


def test_a_root_that_nobody_knows_yet_is_shown_without_a_warning():
    (root,) = of(PEER.root, PEER.root)
    assert (root.names, root.is_trusted, root.warnings) == (("peer",), False, ())


def test_a_root_that_is_trusted_already_is_said_to_be():
    (root,) = of(PEER.root, trusted=[row(PEER.root, "peer")])
    assert (root.is_trusted, root.warnings) == (True, ())


def test_a_known_name_with_another_certificate_is_pointed_out():
    (root,) = of(TWIN.root, trusted=[row(PEER.root, "peer")])
    (warning,) = root.warnings
    assert "peer+authority+sa IS TRUSTED HERE ALREADY, WITH ANOTHER CERTIFICATE" in warning
    assert with_colons(PEER.root.fingerprint) in warning


def test_two_roots_of_one_name_from_one_server_are_pointed_out():
    assert ["SEVERAL ROOTS" in " ".join(root.warnings) for root in of(PEER.root, TWIN.root)] == [True, True]


def test_names_that_another_root_vouches_for_are_pointed_out():
    broad = Federation("broad", keys=new_ec_key)
    (root,) = of(PEER.root, trusted=[row(broad.root, "broad", "peer")])
    assert root.warnings == ("ANOTHER ROOT, urn:publicid:IDN+broad+authority+sa, MAY VOUCH FOR peer ALREADY",)


@pytest.mark.parametrize("name", ["plc", "plc:lab", "plc:lab:room"])
def test_names_of_ours_are_pointed_out(name):
    (root,) = of(PEER.root, names=("elsewhere", name))
    assert "IT WOULD VOUCH FOR NAMES OF THIS INSTALLATION" in " ".join(root.warnings)


@pytest.mark.parametrize(("name", "touches"), [("plc:other", False), ("plcx", False), ("plc", True), ("PLC:LAB", True)])
def test_ours_is_what_is_above_us_and_below(name, touches):
    assert touches_own_names([name], OWN.root) is touches


def test_a_certificate_of_no_authority_is_pointed_out():
    (root,) = of(PEER.alice.gid)
    assert "does not say that it is a certificate authority" in " ".join(root.warnings)


def test_of_a_chain_its_first_certificate_is_what_is_shown():
    (root,) = of(PEER.alice.gid)
    assert isinstance(root.gid, GID)
    assert len(root.gid.chain) == 1


@pytest.mark.parametrize("written", ["AB:cd:01", "abcd01", " ab cd 01 ", "ABCD01\n"])
def test_fingerprints_are_read_as_people_write_them(written):
    assert plain_fingerprint(written) == "abcd01"
