"""Talking to servers: XML-RPC over TLS with a client certificate, the connection kept open between calls."""

import http.client
import ssl
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

TIMEOUT = 60


class Refusal(click.ClickException):
    """A server's answer that is no: its code and its sentence."""

    def __init__(self, code: int, sentence: str, value: object = "") -> None:
        super().__init__(f"{sentence or 'refused'} (code {code})")
        self.code = code
        self.value = value


class _Transport(xmlrpc.client.SafeTransport):
    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        connection: http.client.HTTPSConnection = super().make_connection(host)
        connection.timeout = TIMEOUT
        return connection


class Server:
    """One server. Raises Refusal for what it refuses, ClickException when it can't be talked to."""

    def __init__(self, url: str, *, key: Path, gid: Path, roots: Path) -> None:
        self._url = url
        try:
            context = ssl.create_default_context(cafile=str(roots))
            context.load_cert_chain(str(gid), str(key))
        except (OSError, ssl.SSLError) as e:
            raise click.ClickException(f"the key or certificate can't be used ({gid}, {key}, {roots}): {e}") from e
        self._proxy = xmlrpc.client.ServerProxy(url, transport=_Transport(context=context), allow_none=True)

    def call(self, method: str, *arguments: object) -> Any:
        """The plain result of a method; a fault is a Refusal."""
        try:
            return getattr(self._proxy, method)(*arguments)
        except xmlrpc.client.Fault as e:
            raise Refusal(e.faultCode, e.faultString) from e
        except xmlrpc.client.ProtocolError as e:
            raise click.ClickException(f"{self._url} answered {e.errcode} {e.errmsg}") from e
        except ssl.SSLCertVerificationError as e:
            raise click.ClickException(f"{self._url} is not who it should be: {e.verify_message}") from e
        except (OSError, http.client.HTTPException) as e:
            host = urlsplit(self._url).netloc
            raise click.ClickException(f"{host} can't be reached ({e}); is the server running?") from e

    def call_am(self, method: str, *arguments: object) -> Any:
        """The value of an aggregate's triple; a code other than 0 is a Refusal."""
        answer = self.call(method, *arguments)
        code = answer["code"]["geni_code"]
        if code != 0:
            raise Refusal(code, answer.get("output") or "", answer.get("value"))
        return answer["value"]
