"""A client that searches all that a server answers for what is underneath: status lines and headers too.

Put together here, so that whatever is called by whichever test is searched: see `Listener` and `Talk`.
"""

import base64
import binascii
import contextlib
import http.client
import ssl
import xmlrpc.client
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.parsers import expat

from pyroute2 import IPRoute

from backends.native.names import Names
from backends.underneath import underneath
from credentials.keys import read_private_key, ssh_public_key
from sfa_am.slices.states import CONSOLE_LOG
from sfi_tool.rspec_commands import EXAMPLE

LOOPBACK = ("127.0.0.1", "::1")
"""Where tests publish logins."""


def names_of_host(backend: Path, *more: str, published: Collection[str] = LOOPBACK) -> list[str]:
    """What tells this host from others: its addresses, folders, how the names begin of all that is made there.

    backend: state folder of a native backend. more: other such names. published: addresses that may be told
    """
    names = {str(backend.parent), Names.of_folder(backend).tag, *more}
    with IPRoute() as netlink:
        names |= {str(one.get_attr("IFA_ADDRESS")) for one in netlink.get_addr()}
    return sorted(names - set(published))


class Listener:
    """Calls of one user, each answer searched before it is given back.

    heard: how many answers of which kind there were
    """

    def __init__(self, session: Any, secrets: list[str]) -> None:
        """session: of `sfi_tool.identity`. secrets: names that must not be heard"""
        self.session = session
        self.tls = ssl.create_default_context(cafile=str(session.folder.roots))
        self.tls.load_cert_chain(str(session.gid), str(session.folder.key))
        self.secrets = secrets
        self.heard: Counter[str] = Counter()
        self._kept: dict[int, http.client.HTTPSConnection] = {}

    def call(self, port: int, path: str, method: str, *sent: object) -> Any:
        """What a method answers: its value, or the fault."""
        body = xmlrpc.client.dumps(sent, method, allow_none=True).encode("utf-8", "surrogatepass")
        content = self.request(port, "POST", path, body)
        try:
            answer = xmlrpc.client.loads(content)[0][0]
        except xmlrpc.client.Fault as fault:
            self.heard["fault"] += 1
            return fault
        except expat.ExpatError:  # a page, where no calls are answered
            self.heard["page"] += 1
            return content
        for packed in _texts(answer):
            with contextlib.suppress(ValueError, binascii.Error, zlib.error):
                self.search(zlib.decompress(base64.b64decode(packed, validate=True)), about=method)
        self.heard[_outcome(answer)] += 1
        return answer

    def request(self, port: int, verb: str, path: str, body: bytes = b"") -> bytes:
        """The body of an answer over HTTP; the connection is kept."""
        kept = self._kept.setdefault(port, self._connection(port))
        try:
            kept.request(verb, path, body, {"Content-Type": "text/xml"})
            answer = kept.getresponse()
        except (http.client.HTTPException, OSError):  # it was closed meanwhile, as it may be
            kept.close()
            kept.request(verb, path, body, {"Content-Type": "text/xml"})
            answer = kept.getresponse()
        content = answer.read()
        head = "\r\n".join([f"{answer.status} {answer.reason}", *(": ".join(one) for one in answer.getheaders())])
        self.search(f"{head}\r\n\r\n".encode() + content, about=f"{verb} {path} {body[:120]!r}")
        return content

    def search(self, octets: bytes, *, about: str) -> None:
        """Fail when what was heard names what is underneath."""
        found = underneath(octets.decode("utf-8", "replace"), *self.secrets)
        assert not found, f"{about}\nwas answered with {found}"

    def _connection(self, port: int) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", port, context=self.tls, timeout=60)


def _outcome(answer: Any) -> str:
    code = answer.get("code") if isinstance(answer, dict) else None
    if isinstance(code, dict):
        code = code.get("geni_code")
    return "value" if code in (None, 0) else f"code {code}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) > 60 and not value.startswith(("<", "-")):
            yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


RSPEC = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
ACTIONS = ("geni_start", "geni_stop", "geni_restart", "geni_reload", "geni_update_users", CONSOLE_LOG)
NEVER = "urn:publicid:IDN+plc+slice+never"


def request(body: str) -> str:
    """A request RSpec."""
    return f'<rspec xmlns="http://www.geni.net/resources/rspec/3" type="request">{body}</rspec>'


class Talk:
    """One slice of alice's, and the calls about it."""

    def __init__(self, listener: Listener, server: Any, slice_: Any) -> None:
        self.listener, self.server, self.slice = listener, server, slice_
        key = ssh_public_key(read_private_key(slice_.session.folder.key.read_bytes()).public_key())
        self.users = [{"urn": "urn:publicid:IDN+plc+user+alice", "keys": [key]}]

    def v3(self, method: str, *sent: object, urns: Sequence[str] = ()) -> Any:
        """A call about the slice, or about some of it."""
        return self._am("/am/3", method, list(urns) or [self.slice.urn], self.slice.credentials, *sent)

    def v2(self, method: str, *sent: object) -> Any:
        """A call about the slice."""
        return self._am("/am/2", method, self.slice.urn, [self.slice.credential], *sent)

    def allocate(self, document: str) -> Any:
        """Reserve."""
        return self._am("/am/3", "Allocate", self.slice.urn, self.slice.credentials, document, {})

    def provision(self) -> Any:
        """Have it made."""
        return self.v3("Provision", {**RSPEC, "geni_users": self.users})

    def states(self) -> set[str]:
        """All operational states there are."""
        return {one["geni_operational_status"] for one in self.v3("Status", {})["value"]["geni_slivers"]}

    def look(self) -> list[dict[str, str]]:
        """All that only looks, in both versions; the slivers."""
        status = self.v3("Status", {})["value"]
        slivers = status["geni_slivers"] if status else []
        urns = [one["geni_sliver_urn"] for one in slivers] or ["urn:publicid:IDN+plc+sliver+0"]
        for packed in (True, False):
            options = {**RSPEC, "geni_compressed": packed}
            self.v3("Describe", options)
            self.v3("Describe", options, urns=urns)
            self._am("/am/3", "ListResources", self.slice.credentials, options)
            for more in ({"geni_available": True}, {"geni_slice_urn": self.slice.urn}):
                self._am("/am/2", "ListResources", [self.slice.credential], {**options, **more})
        self.v2("SliverStatus", {})
        self.v3("PerformOperationalAction", CONSOLE_LOG, {"geni_best_effort": True}, urns=urns)
        return slivers

    def try_everything(self, *, actions: Sequence[str] = (), holding: bool = False) -> None:
        """Calls that may be wrong in the state that this is in.

        actions: to be asked for. holding: leave out what ends or makes an allocation
        """
        self.look()
        self.allocate(EXAMPLE)
        for dry_run in (True, False):
            self.v3("Update", request('<node client_id="left"><hardware_type name="abacus"/></node>'), {})
            self.v3("Update", EXAMPLE, {"sfa_dry_run": dry_run or holding})
        if not holding:
            self.v3("Cancel", {})
            self.v2("CreateSliver", EXAMPLE, self.users, {})
        for action in ("sing", "", *actions):
            for best_effort in (True, False):
                self.v3("PerformOperationalAction", action, {"geni_best_effort": best_effort})
        soon = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        for end in (soon, "2001-01-01T00:00:00Z", "2990-01-01T00:00:00Z", "soon"):
            self.v3("Renew", end, {})
            self.v2("RenewSliver", end, {})
        for urns in ([NEVER], ["urn:publicid:IDN+plc+sliver+0"], ["nothing"], [""]):
            self.v3("Status", {}, urns=urns)
            self.v3("Delete", {}, urns=urns)
        self.v3("Status", {}, urns=[self.slice.urn, NEVER])

    def _am(self, path: str, method: str, *sent: object) -> Any:
        return self.listener.call(self.server.am_port, path, method, *sent)
