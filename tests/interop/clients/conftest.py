"""A real server with slivers in memory, and users of it, for clients that others wrote."""

import ssl
import xmlrpc.client
from itertools import count
from pathlib import Path

import pytest

from bench.simulated import SimulatedServer

REQUEST = '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="one"/></rspec>'
VERSION = {"type": "GENI", "version": "3"}


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server for all of these tests, with the user alice. Ends without having written a traceback."""
    with SimulatedServer(tmp_path_factory.mktemp("server"), backend={"offers": 2}) as running:
        running.add_user("alice")
        yield running
    assert "Traceback" not in running.log.read_text()


_number = count(1)


@pytest.fixture
def new_slice(server):
    """Makes slices of alice's."""
    return lambda: server.add_slice(f"s{next(_number)}", "alice")


class Wire:
    """Calls as any XML-RPC client makes them: whatever structs, answered with whatever comes."""

    def __init__(self, server, name="alice", *, path="/am/3"):
        self.port = server.am_port
        self.folder = server.session(name).folder
        self.context = ssl.create_default_context(cafile=str(self.folder.roots))
        self.context.load_cert_chain(str(server.session(name).gid), str(self.folder.key))
        url = f"https://localhost:{server.am_port}{path}"
        self.proxy = xmlrpc.client.ServerProxy(url, context=self.context, allow_none=True)

    def __call__(self, method, *sent):
        return getattr(self.proxy, method)(*sent)


@pytest.fixture
def wire(server):
    """Alice's calls of version 3."""
    return Wire(server)


@pytest.fixture
def wire_at(server):
    """Alice's calls at another path."""
    return lambda path: Wire(server, path=path)


def code(answer):
    return answer["code"]["geni_code"]


def public_key(folder: Path) -> str:
    from credentials.keys import read_private_key, ssh_public_key

    return ssh_public_key(read_private_key(folder.read_bytes()).public_key())
