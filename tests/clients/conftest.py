"""A server with the simulated backend for all tests here, and `sfi` as its users call it."""

import json
import os

import pytest
from click.testing import CliRunner
from clients.simulated_server import SimulatedServer

from sfi_tool.cli import main
from sfi_tool.rspec_commands import EXAMPLE


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with SimulatedServer(tmp_path_factory.mktemp("server"), capacity=8) as server:
        yield server


class User:
    """Somebody with a folder, and what their sfi prints."""

    def __init__(self, server, folder):
        self.server = server
        self.folder = folder

    def run(self, *arguments, **more):
        return CliRunner().invoke(main, ["-d", str(self.folder), *map(str, arguments)], **more)

    def __call__(self, *arguments):
        done = self.run(*arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json"))

    def refused(self, *arguments, status=1, **more):
        done = self.run(*arguments, **more)
        assert done.exit_code == status, done.output
        assert "Traceback" not in done.output
        return done.stderr


@pytest.fixture(autouse=True)
def private_files():
    """As the program does: keys and credentials are written."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def operator(server):
    return User(server, server.operator)


@pytest.fixture(scope="session")
def alice(server, operator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("users") / "alice"
    operator("user", "add", "alice", "--email", "alice@example.org", "--out", folder)
    return User(server, folder)


@pytest.fixture
def request_file(tmp_path):
    (tmp_path / "request.xml").write_text(EXAMPLE)
    return tmp_path / "request.xml"


@pytest.fixture
def new_slice(operator, alice):
    """Makes slices of alice's; they and what they hold are gone afterwards."""
    made = []

    def new_slice(name):
        operator("slice", "add", name, "--member", "alice")
        made.append(name)
        return name

    yield new_slice
    for name in made:
        alice.run("delete", name)
        operator("remove", name, "-t", "slice")
        (alice.folder / "cache" / f"plc.{name}.slice.cred").unlink(missing_ok=True)
