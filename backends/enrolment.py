"""How a host joins: the one line it is given, what it asks for with it, what it is answered, the names on the bus.

The aggregate manager invites and admits, a host's own program asks; both rely on this module and on nothing of each
other. Private keys are made where they are used and are sent by nobody.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import nkeys
from pydantic import TypeAdapter, ValidationError

PATH = "nodes"
"""Where a host asks to be admitted, below the aggregate's address: POST, JSON both ways."""

LARGEST = 64 * 1024
"""Bytes of a question or of an answer; certificates are the most of it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""Names of nodes: one part of a subject on the bus, and the name of an offer."""

_NKEY = re.compile(r"U[A-Z2-7]{55}")
_TOKEN_BEGINS = "sfa-node-1."  # noqa: S105 - what every token begins with is no secret
_CHECKSUM = 4

T = TypeVar("T")


class BadToken(ValueError):
    """Not a token, or not the whole of one; the sentence says what is wrong with it."""


class Unreadable(ValueError):
    """A question or an answer has not the shape it should have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What an invited host is told, in one word.

    url:         of the aggregate's port, "https://am.example.org:12346"
    fingerprint: SHA-256 of the server's public key (DER SubjectPublicKeyInfo), hexadecimal: who answers must hold it
    secret:      good for one host, once
    """

    url: str
    fingerprint: str
    secret: str

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
        except ValueError as e:
            raise BadToken(f"the token's address can't be read: {e}") from e
        if not is_address or not self.url.isascii() or not self.url.isprintable():
            raise BadToken("the token's address is no https:// one")
        if not re.fullmatch(r"[0-9a-f]{64}", self.fingerprint):
            raise BadToken("the token's fingerprint is no SHA-256")
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", self.secret):
            raise BadToken("the token's secret has another form than ours")

    def __str__(self) -> str:
        content = "\n".join((self.url, self.fingerprint, self.secret)).encode()
        return _TOKEN_BEGINS + base64.urlsafe_b64encode(_checksum(content) + content).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Read a token; white space around it and within it, as mail adds, does not matter. Raises BadToken."""
        word = "".join(text.split())
        if not word.startswith(_TOKEN_BEGINS):
            raise BadToken(f"a token begins with {_TOKEN_BEGINS}; this one does not")
        encoded = word.removeprefix(_TOKEN_BEGINS)
        try:
            raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            content = raw[_CHECKSUM:].decode("ascii")
        except (binascii.Error, ValueError) as e:
            raise BadToken("the token is not whole, or was changed on its way; copy all of it") from e
        parts = content.split("\n")
        if _checksum(raw[_CHECKSUM:]) != raw[:_CHECKSUM] or len(parts) != 3:
            raise BadToken("the token is not whole, or was changed on its way; copy all of it")
        return cls(url=parts[0], fingerprint=parts[1], secret=parts[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What a host asks with. The key of its certificate is proved by the TLS connection that it asks over.

    secret: of the token
    nkey:   its public key on the bus
    """

    secret: str
    nkey: str

    def __post_init__(self) -> None:
        if not is_public_nkey(self.nkey):
            raise ValueError("nkey: a public user key, which begins with U, is expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What an admitted host is answered.

    name:        its own
    bus:         URLs of the bus, one of which is enough
    roots:       PEM, who certifies the bus's servers
    certificate: PEM, for the key that the host has shown
    prefix:      how all subjects begin
    """

    name: str
    bus: tuple[str, ...]
    roots: str
    certificate: str
    prefix: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!a:.60} is none for a node")
        if not self.bus:
            raise ValueError("bus: an address at least is expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a host is not admitted, in a sentence for its operator."""

    refusal: str


_adapters: dict[type, TypeAdapter[Any]] = {}


def write(message: Application | Admission | Refusal) -> bytes:
    """As JSON."""
    return _adapter(type(message)).dump_json(message)


def read(kind: type[T], body: bytes) -> T:
    """From JSON. Raises Unreadable."""
    try:
        found: T = _adapter(kind).validate_json(body, strict=False)
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Unreadable(ascii(f"{where}: {first['msg']}" if where else first["msg"])[1:-1]) from e
    return found


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:_CHECKSUM]


# Keys on the bus: nkeys, Ed25519 in letters.


def new_seed(entropy: bytes) -> str:
    """The secret half of a user's key, from 32 random bytes."""
    return str(nkeys.encode_seed(entropy, nkeys.PREFIX_BYTE_USER).decode())


def public_nkey(seed: str) -> str:
    """The public half. Raises ValueError: not a seed."""
    try:
        return str(nkeys.from_seed(bytearray(seed.strip().encode())).public_key.decode())
    except (nkeys.NkeysError, ValueError) as e:
        raise ValueError("not the seed of a key on the bus") from e


def is_public_nkey(text: str) -> bool:
    """Whether this is a user's public key, and whole."""
    if not _NKEY.fullmatch(text):
        return False
    raw = base64.b32decode(text)
    return bool(nkeys.crc16(bytearray(raw[:-2])) == int.from_bytes(raw[-2:], "little"))


# Addresses and subjects.


def bus_urls(text: str) -> tuple[str, ...]:
    """The URLs of a setting, joined by commas. Raises ValueError."""
    urls = tuple(part.strip() for part in text.split(","))
    for url in urls:
        try:
            parts = urlsplit(url)
            is_right = parts.scheme in ("nats", "tls") and parts.hostname and parts.port and not parts.path.strip("/")
        except ValueError:
            is_right = False
        if not is_right:
            raise ValueError(f"{url!a:.200} is no address of a bus; nats://bus.example.org:4222 is one")
    return urls


def prefix_of(backend: str) -> str:
    """How the subjects of a backend begin."""
    return f"am.{backend}"


def controller_inbox(prefix: str) -> str:
    """Below this are the replies to the controller."""
    return f"{prefix}.inbox.controller"


def node_inbox(prefix: str, node: str) -> str:
    """Below this are the replies to a node."""
    return f"{prefix}.inbox.node.{node}"
