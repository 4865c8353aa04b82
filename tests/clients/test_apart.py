"""An aggregate and an authority apart: two installations, one of which serves the AM API and the other one the rest."""

import socket

import pytest
from clients.simulated_server import SimulatedServer

from sfi_tool.errors import Unreachable


def is_open(port):
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    home = tmp_path_factory.mktemp("authority")
    with SimulatedServer(home, settings={"server.doors": '["authority"]'}) as server:
        yield server


@pytest.fixture(scope="module")
def aggregate(authority, tmp_path_factory):
    home = tmp_path_factory.mktemp("aggregate")
    server = SimulatedServer(home, authority="cloud", settings={"server.doors": '["aggregate"]'})
    root = authority.state / "operator" / "roots.pem"
    server._run("sfa_am", "--state", server.state, "trust", "add", root, "--yes")
    with server:
        yield server


def test_a_user_of_the_one_acts_at_the_other(authority, aggregate, tmp_path):
    assert not is_open(authority.am_port)
    assert not is_open(aggregate.registry_port)
    # Both servers are called from one folder, so both roots are in it.
    roots = authority.operator / "roots.pem"
    roots.write_text(roots.read_text() + (aggregate.operator / "roots.pem").read_text())
    there = ("-s", f"https://localhost:{aggregate.am_port}/am/3")
    authority.sfi("slice", "add", "far")
    request = tmp_path / "request.xml"
    request.write_text(
        '<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request"><node client_id="a"/></rspec>'
    )
    assert "ready" in authority.sfi(*there, "create", "far", request)
    authority.sfi(*there, "delete", "far")


def test_the_clearinghouse_does_not_tell_of_an_aggregate_that_is_not_there(authority):
    from sfi_tool.folder import Folder
    from sfi_tool.identity import Session

    session = Session(Folder.open(authority.operator))
    registry = session._server(f"https://localhost:{authority.registry_port}/sr")
    answer = registry.call("lookup", "SERVICE", [], {})
    kinds = {one["SERVICE_TYPE"] for one in answer["value"]}
    assert kinds == {"SLICE_AUTHORITY", "MEMBER_AUTHORITY"}
    with pytest.raises(Unreachable):
        session.aggregate.call("GetVersion")
