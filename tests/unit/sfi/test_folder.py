"""The folder: sfi.toml, SFAWrap's sfi_config in both forms, what the command line says in their place, file names."""

import json

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from credentials.keys import new_ec_key, openssh_pem, private_pem
from sfi_tool import folder as folders
from sfi_tool.cli import main
from sfi_tool.errors import Unreadable
from sfi_tool.folder import Folder
from sfi_tool.servers import over_tls

SECTIONS = """\
[sfi]
# comment
auth = plc.princeton
user = plc.princeton.alice
registry = http://registry.example.org:12345/
sm = http://sm.example.org:12347/
[myslice]
backend = http://portal.example.org
"""
SHELL = """\
# made by hand
SFI_AUTH='plc.princeton'
SFI_USER="plc.princeton.alice"
export SFI_REGISTRY=http://registry.example.org:12345/   # ours
SFI_SM='http://sm.example.org:12347/'
"""


@pytest.mark.parametrize("text", [SECTIONS, SHELL])
def test_both_forms_of_sfi_config_say_the_same(tmp_path, text):
    (tmp_path / "sfi_config").write_text(text)
    mine = Folder.open(tmp_path)
    assert (mine.user, mine.authority) == ("plc.princeton.alice", "plc.princeton")
    assert mine.registry == "http://registry.example.org:12345/"
    assert mine.aggregate == "http://sm.example.org:12347/"
    assert (tmp_path / "sfi_config").read_text() == text  # SFAWrap's client goes on reading it


def test_files_have_the_names_that_sfawrap_gives_them(tmp_path):
    (tmp_path / "sfi_config").write_text(SECTIONS)
    mine = Folder.open(tmp_path)
    assert mine.key.name == "plc.princeton.alice.pkey"
    assert mine.gid.name == "plc.princeton.alice.user.gid"
    assert mine.self_signed.name == "plc.princeton.alice.sscert"
    assert mine.credential_file("plc.princeton.alice", "user").name == "plc.princeton.alice.user.cred"
    assert mine.credential_file("plc.princeton.s1", "slice").name == "plc.princeton.alice-plc.princeton.s1.slice.cred"
    assert mine.credential_file("plc.princeton", "authority").name == "plc.princeton.alice-plc.princeton.authority.cred"


def test_a_backslash_of_the_name_is_not_in_the_name_of_the_key(tmp_path):
    mine = Folder.open(tmp_path, {"user": r"plc.x\.org.al\.ice", "registry": "r", "aggregate": "a"})
    assert mine.key.name == "plc.x.org.al.ice.pkey"
    assert mine.authority == r"plc.x\.org"


@pytest.mark.parametrize("is_sfawraps", [True, False])
def test_a_shell_completes_slices_that_were_used(home, is_sfawraps):
    if is_sfawraps:
        (home / "sfi.toml").unlink()
        (home / "sfi_config").write_text("SFI_USER=plc.alice\nSFI_REGISTRY=r\nSFI_SM=a\n")
    mine = Folder.open(home)
    for hrn in ("plc.demo", "plc.other", "ple.inria.demo"):
        mine.credential_file(hrn, "slice").write_text("")
    mine.credential_file("plc", "authority").write_text("")
    environment = {"_SFI_COMPLETE": "fish_complete", "COMP_WORDS": f"sfi -d {home} status ", "COMP_CWORD": ""}
    said = CliRunner().invoke(main, [], prog_name="sfi", env=environment)
    assert said.output.split() == ["plain,demo", "plain,other", "plain,ple.inria.demo"]


def test_no_name_leads_out_of_the_folder(tmp_path):
    mine = Folder.open(tmp_path, {"user": "plc.alice", "registry": "r", "aggregate": "a"})
    assert mine.credential_file("plc.../../x", "slice").parent == tmp_path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sfi]\nuser = plc.alice\n", "lacks registry (or -r), sm (or -s)"),
        ("[other]\nuser = plc.alice\n", "no section [sfi]"),
        ("nothing", "neither a section"),
        ("SFI_USER='plc.alice\n", "SFI_USER"),
        ("[sfi\nuser", "is not as SFAWrap writes it"),
    ],
)
def test_what_is_wrong_with_sfi_config_is_told(tmp_path, text, says):
    (tmp_path / "sfi_config").write_text(text)
    with pytest.raises(Unreadable) as refused:
        Folder.open(tmp_path)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("user = ", "Invalid value"),
        ('user = "plc.alice"', "lacks registry, aggregate, key, gid, roots"),
        ('user=1\nregistry=""\naggregate=""\nkey=""\ngid=""\nroots=""', "user must be text in quotes"),
    ],
)
def test_what_is_wrong_with_sfi_toml_is_told(tmp_path, text, says):
    (tmp_path / "sfi.toml").write_text(text)
    with pytest.raises(Unreadable, match=says):
        Folder.open(tmp_path)


@pytest.fixture
def home(tmp_path):
    folders.write(
        tmp_path, user="plc.alice", registry="https://r/", aggregate="https://a/", key="k", gid="g", roots="r.pem"
    )
    return tmp_path


def test_sfi_toml_counts_where_both_are(home):
    (home / "sfi_config").write_text(SECTIONS)
    assert Folder.open(home).user == "plc.alice"


def test_the_command_line_counts_before_the_folder(home):
    said = ("-r", "https://other/", "-s", "https://elsewhere/", "-a", "plc.sub")
    told = CliRunner().invoke(main, ["-d", str(home), *said, "config", "--json"])
    values = json.loads(told.output)
    assert (values["registry"], values["aggregate"], values["auth"]) == (
        "https://other/",
        "https://elsewhere/",
        "plc.sub",
    )
    assert values["key"] == {"file": str(home / "k"), "is_there": False}


def test_for_another_user_the_folder_has_another_key(home):
    mine = Folder.open(home, {"user": "plc.bob"})
    assert mine.key.name == "plc.bob.pkey"
    assert mine.registry == "https://r/"


@pytest.mark.parametrize("form", [openssh_pem, private_pem])
def test_a_key_is_put_into_a_folder_that_has_none(tmp_path, form):
    key = new_ec_key()
    (tmp_path / "sfi_config").write_text(SECTIONS)
    (tmp_path / "id_ecdsa").write_bytes(form(key))
    for _ in range(2):  # the second time it is there, and the same
        done = CliRunner().invoke(main, ["-d", str(tmp_path), "-k", str(tmp_path / "id_ecdsa"), "config"])
        assert done.exit_code == 0, done.output
    kept = tmp_path / "plc.princeton.alice.pkey"
    assert kept.read_bytes() == private_pem(key)  # as TLS reads it
    assert kept.stat().st_mode & 0o077 == 0


def test_a_key_that_is_there_is_not_replaced(home):
    mine = private_pem(new_ec_key())
    (home / "k").write_bytes(mine)
    (home / "other").write_bytes(private_pem(new_ec_key()))
    refused = CliRunner().invoke(main, ["-d", str(home), "-k", str(home / "other"), "config"])
    assert refused.exit_code == 2
    assert "another key" in refused.output
    assert (home / "k").read_bytes() == mine


def test_what_is_no_key_is_not_put_there(home):
    ed25519 = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    locked = new_ec_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for content in (b"ssh-rsa AAAA alice", ed25519, locked):
        (home / "other").write_bytes(content)
        refused = CliRunner().invoke(main, ["-d", str(home), "-k", str(home / "other"), "config"])
        assert refused.exit_code == 2
        assert "an RSA or EC key without a passphrase is expected" in refused.output
    assert not (home / "k").exists()


def test_where_one_stands_is_the_folder_if_it_has_settings(tmp_path, monkeypatch):
    (tmp_path / "sfi_config").write_text(SECTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SFI_DIR", raising=False)
    told = CliRunner().invoke(main, ["config", "--json"])
    assert json.loads(told.output)["user"] == "plc.princeton.alice"


@pytest.mark.parametrize(
    "written",
    ["http://h:12345/", "https://h:12345/", "h:12345/", "http://https://h:12345/", "HTTPS://h:12345/"],
)
def test_tls_is_spoken_whatever_the_address_says(written):
    assert over_tls(written) == "https://h:12345/"


@pytest.mark.parametrize("is_sfawraps", [False, True])
def test_credentials_about_others_are_kept_apart_from_ones_own(home, is_sfawraps):
    if is_sfawraps:
        (home / "sfi.toml").unlink()
        (home / "sfi_config").write_text("SFI_USER=plc.alice\nSFI_REGISTRY=r\nSFI_SM=a\n")
    mine = Folder.open(home)
    assert mine.credential_file(mine.user, "user") != mine.credential_file(f"{mine.authority}.somebody", "user")
