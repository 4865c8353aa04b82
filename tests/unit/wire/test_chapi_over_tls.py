"""The clearinghouse of a whole server over TLS on the loopback, called with the standard library's client."""

import os
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from xmlrpc.client import ServerProxy

import pytest

from credentials import GID, URN, self_signed_user
from credentials.keys import new_ec_key, private_pem, ssh_public_key
from sfa_am.authority import Authority, Registry, Wanted
from sfa_am.config import Registry as Settings
from sfa_am.slices.gate import Gate
from sfa_am.store import Store

PROJECT = "urn:publicid:IDN+plc+project+demo"
S1 = "urn:publicid:IDN+plc:demo+slice+s1"


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Whole:
    """`sfa-am serve` without backends, and certificates for the operator, for alice and for a stranger."""

    def __init__(self, home, root):
        self.state, self.log, self.port = home / "state", home / "log", free_port()
        self.environment = {**os.environ, "PYTHONPATH": str(root)}
        ports = ("--set", f"server.registry_port={self.port}", "--set", f"server.am_port={free_port()}")
        subprocess.run(self.command("init", "--authority", "plc", *ports), check=True, env=self.environment)
        settings = self.state / "sfa-am.toml"
        text = settings.read_text()
        settings.write_text("backend = []\n" + text[: text.index("[[backend]]")])
        self.pems = {"operator": (self.state / "operator" / "operator.gid", self.state / "operator" / "operator.key")}
        key, now = new_ec_key(), datetime.now(UTC)
        with closing(Store.in_folder(self.state)) as store:
            authority = Authority.load(self.state / "authority")
            wanted = Wanted(urn=URN("plc", "user", "alice"), email="a@x", keys=(ssh_public_key(key.public_key()),))
            gid = Registry(store, Gate(store), authority, Settings()).enter(wanted, actor="test", now=now)
        self.keep(home, "alice", gid, key)
        self.keep(home, "stranger", self_signed_user("alice", key, lifetime=timedelta(days=1), now=now).pem, key)

    def keep(self, home, name, gid, key):
        self.pems[name] = (home / f"{name}.gid", home / f"{name}.key")
        for path, content in zip(self.pems[name], (gid.encode(), private_pem(key)), strict=True):
            path.write_bytes(content)

    def command(self, *arguments):
        return [sys.executable, "-c", "from sfa_am.cli import run; run()", "--state", str(self.state), *arguments]

    def door(self, path, who="operator"):
        context = ssl.create_default_context(cafile=self.state / "operator" / "roots.pem")
        context.load_cert_chain(*self.pems[who])
        return ServerProxy(f"https://localhost:{self.port}/{path}", context=context, allow_none=True)

    def wait(self, process):
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, repo_root):
    made = Whole(tmp_path_factory.mktemp("whole"), repo_root)
    with made.log.open("wb") as log:
        process = subprocess.Popen(made.command("serve"), stdout=log, stderr=log, env=made.environment)
    try:
        made.wait(process)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def value(answer):
    assert answer["code"] == 0, answer["output"]
    return answer["value"]


def test_a_researcher_goes_from_the_service_registry_to_a_slice_credential(whole):
    # As omni does: find the authorities, make a slice in a project, take the credential to an aggregate
    asked = {"filter": ["SERVICE_URN", "SERVICE_URL"]}
    [sa] = value(whole.door("SR", "alice").lookup_slice_authorities(asked))
    assert sa["SERVICE_URN"] == "urn:publicid:IDN+plc+authority+sa"
    assert sa["SERVICE_URL"] == f"https://localhost:{whole.port}/sa"
    lead, alice = whole.door("sa"), whole.door("SA", "alice")
    value(lead.create("PROJECT", [], {"fields": {"PROJECT_NAME": "demo"}}))
    member = {"PROJECT_MEMBER": "urn:publicid:IDN+plc+user+alice", "PROJECT_ROLE": "MEMBER"}
    assert value(lead.modify_membership("PROJECT", PROJECT, [], {"members_to_add": [member]})) is None
    fields = {"SLICE_NAME": "s1", "SLICE_PROJECT_URN": PROJECT}
    assert value(alice.create_slice([], {"fields": fields}))["SLICE_URN"] == S1
    [struct] = value(alice.get_credentials(S1, [], {}))
    with closing(Store.in_folder(whole.state)) as store:
        auth = Gate(store).authorise(
            caller=GID.parse(whole.pems["alice"][0].read_bytes()),
            documents=[struct["geni_value"]],
            operation="createsliver",
            target=URN.parse(S1),
            now=datetime.now(UTC),
        )
    assert auth.actor == URN("plc", "user", "alice")
    [user] = value(whole.door("ma", "alice").get_credentials("urn:publicid:IDN+plc+user+alice", [], {}))
    assert user["geni_type"] == "geni_sfa"


def test_whoever_made_their_own_certificate_gets_what_is_public(whole):
    assert value(whole.door("sr", "stranger").get_version())["VERSION"] == "2"
    assert value(whole.door("sr", "stranger").get_trust_roots())
    answer = whole.door("ma", "stranger").lookup("MEMBER", [], {})
    assert (answer["code"], answer["value"]) == (1, None)


def test_the_sfa_registry_stays_where_it_was(whole):
    assert whole.door("").GetVersion()["interface"] == "registry"
