"""An aggregate that speaks version 2 of the GENI AM API and nothing newer, as old testbeds do: to test clients with.

    with Version2Aggregate(home) as aggregate:
        aggregate.url, aggregate.root_pem, aggregate.sent

Its certificate is that of its authority and names no host, as SFAWrap's servers have it. It holds one sliver a slice.
"""

import base64
import ssl
import threading
import zlib
from datetime import timedelta
from pathlib import Path
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

from conftest import NOW
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from credentials import GID, URN, self_signed_root
from credentials.keys import PrivateKey, new_ec_key, private_pem

ADVERTISEMENT = """<rspec xmlns="http://www.geni.net/resources/rspec/3" type="advertisement">
  <node component_id="urn:publicid:IDN+old+node+pc1" component_name="pc1" exclusive="false"
        component_manager_id="urn:publicid:IDN+old+authority+cm">
    <sliver_type name="plab-vserver"/><available now="true"/>
  </node>
</rspec>"""
_LIFETIME = timedelta(days=36500)
SLIVER = "urn:publicid:IDN+old+sliver+1"


class Version2Aggregate:
    """A context. `sent`: (method, arguments) of all calls."""

    def __init__(self, home: Path, *, shows_user: bool = False) -> None:
        """shows_user: whether it wrongly shows the certificate of a user of its authority."""
        self.newer: dict[str, str] = {}
        """Addresses by newer versions of the API, announced beside this one."""
        self.sent: list[tuple[str, tuple]] = []
        self._manifests: dict[str, str] = {}
        key = new_ec_key()
        root = self_signed_root(URN("old", "authority", "sa"), key, lifetime=_LIFETIME, now=NOW - _LIFETIME / 2)
        self.root_pem, shown = root.pem, root.pem
        if shows_user:
            shown = _user_of(root, key)
        (home / "am2.pem").write_bytes(private_pem(key) + shown.encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home / "am2.pem")
        self._server = SimpleXMLRPCServer(("127.0.0.1", 0), _Handler, logRequests=False, allow_none=True)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.register_instance(self)
        self.url = f"https://localhost:{self._server.server_address[1]}/"

    def __enter__(self) -> "Version2Aggregate":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _dispatch(self, method: str, arguments: tuple) -> dict:
        self.sent.append((method, arguments))
        answer = getattr(self, f"_{method}", None)
        if answer is None:
            return _triple(13, output=f"no method {method}")
        credentials = next((one for one in arguments if isinstance(one, list)), [])
        if not all(isinstance(one, str) for one in credentials):
            return _triple(1, output="credentials are strings in version 2")
        return answer(*arguments)

    def _GetVersion(self, *_):  # noqa: N802
        versions = {"2": self.url.replace("https", "http"), **self.newer}
        value = {"geni_api": 2, "geni_api_versions": versions, "interface": "aggregate"}
        return {**_triple(0, value), "geni_api": 2}

    def _ListResources(self, credentials, options):  # noqa: N802
        urn = options.get("geni_slice_urn")
        if urn is not None and urn not in self._manifests:
            return _triple(12, output=f"nothing of {urn} here")
        text = ADVERTISEMENT if urn is None else self._manifests[urn]
        if options.get("geni_compressed"):
            text = base64.b64encode(zlib.compress(text.encode())).decode()
        return _triple(0, text)

    def _CreateSliver(self, urn, credentials, rspec, users, options):  # noqa: N802
        if not users or not all(user["keys"] for user in users):
            return _triple(1, output="users with keys are needed")
        self._manifests[urn] = rspec.replace('type="request"', 'type="manifest"').replace(
            "<node ", f'<node sliver_id="{SLIVER}" ', 1
        )
        return _triple(0, self._manifests[urn])

    def _SliverStatus(self, urn, credentials, options):  # noqa: N802
        if urn not in self._manifests:
            return _triple(12, output=f"nothing of {urn} here")
        resource = {"geni_urn": SLIVER, "geni_status": "ready", "geni_error": ""}
        value = {"geni_urn": urn, "geni_status": "ready", "geni_resources": [resource], "pl_expires": "2026-12-31"}
        return _triple(0, value)

    def _RenewSliver(self, urn, credentials, end, options):  # noqa: N802
        return _triple(0, True)

    def _DeleteSliver(self, urn, credentials, options):  # noqa: N802
        del self._manifests[urn]
        return _triple(0, True)

    def _Shutdown(self, urn, credentials, *options):  # noqa: N802
        return _triple(0, True)


def _user_of(root: GID, key: PrivateKey) -> str:
    """A user's certificate as SFAWrap makes it: nothing in it says that it is not for servers."""
    name = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:publicid:IDN+old+user+eve")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old.eve")]))
        .issuer_name(root.leaf.subject)
        .public_key(key.public_key())
        .serial_number(3)
        .not_valid_before(NOW - _LIFETIME / 2)
        .not_valid_after(NOW + _LIFETIME / 4)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(name, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


class _Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.0"  # as SFAWrap's: every call is a connection of its own
    rpc_paths = ()

    def setup(self) -> None:
        self.request.settimeout(10)
        super().setup()


def _triple(code: int, value: object = "", output: str = "") -> dict:
    return {"code": {"geni_code": code, "am_type": "sfa"}, "value": value, "output": output}
