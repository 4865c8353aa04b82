"""Private keys in files, public keys as SSH writes them."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from credentials import BadKey
from credentials.keys import (
    new_ec_key,
    new_rsa_key,
    openssh_pem,
    private_pem,
    read_private_key,
    read_ssh_public_key,
    ssh_public_key,
    write_private,
)


@pytest.mark.parametrize("make", [new_rsa_key, new_ec_key])
def test_a_key_reads_back_from_its_file_and_its_ssh_line(make):
    key = make()
    assert read_private_key(private_pem(key)).private_numbers() == key.private_numbers()
    line = ssh_public_key(key.public_key())
    assert read_ssh_public_key(f"{line} alice@laptop\n").public_numbers() == key.public_key().public_numbers()
    assert b"OPENSSH PRIVATE KEY" in openssh_pem(key)


def test_a_private_file_is_for_its_owner_only_and_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "root.key"
    path.write_bytes(b"old and longer than the new")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["root.key"]


def test_nothing_is_left_behind_when_a_private_file_can_not_be_written(tmp_path):
    (tmp_path / "root.key").mkdir()
    with pytest.raises(OSError, match=r"root\.key"):
        write_private(tmp_path / "root.key", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["root.key"]


def test_keys_that_are_too_short_to_certify_are_refused():
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    with pytest.raises(BadKey, match="1024 bits is too short"):
        read_ssh_public_key(ssh_public_key(short.public_key()))
    enough = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    read_ssh_public_key(ssh_public_key(enough.public_key()))


def test_keys_of_kinds_that_sfa_does_not_know_are_refused_with_what_is_expected():
    key = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(BadKey, match="RSA or ECDSA"):
        read_ssh_public_key(ssh_public_key(key.public_key()))
    with pytest.raises(BadKey, match="RSA or EC"):
        read_private_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    "line", ["", "ssh-rsa", "ssh-rsa AAAA", "ssh-rsa \ud800", "nonsense nonsense", "ssh-rsa " + "A" * 5000]
)
def test_what_is_no_ssh_key_is_refused_as_such(line):
    with pytest.raises(BadKey):
        read_ssh_public_key(line)


def test_an_encrypted_or_broken_private_key_is_refused_as_such():
    locked = new_ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for pem in (locked, b"", b"nonsense", private_pem(new_ec_key())[:60]):
        with pytest.raises(BadKey):
            read_private_key(pem)
