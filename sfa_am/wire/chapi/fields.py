"""The fields of the API's objects: what each is called, of what type, and what a client may do with it.

From these tables come the checks of `match`, `filter` and `fields`, the FIELDS of get_version and the tables of
docs/reference/clearinghouse.md. Names that begin with an underscore are our additions to the specification's
(Common Federation API version 2, sections 3 to 5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID
from xmlrpc.client import DateTime

from credentials import URN
from sfa_am.errors import BadArgs
from sfa_am.slices.identity import read_urn
from sfa_am.wire import arguments

Value = str | bool | URN | datetime | None
"""What a field may hold: a text (also a UUID, a key, a certificate, a URL), a boolean, a name, a moment, or nothing."""


class Type(StrEnum):
    """The specification's types."""

    URN = "URN"
    UID = "UID"
    URL = "URL"
    STRING = "STRING"
    EMAIL = "EMAIL"
    KEY = "KEY"
    CERTIFICATE = "CERTIFICATE"
    DATETIME = "DATETIME"
    BOOLEAN = "BOOLEAN"


class Create(StrEnum):
    """Whether a field is given when an object is made."""

    REQUIRED = "REQUIRED"
    ALLOWED = "ALLOWED"
    NOT = "NOT ALLOWED"


class Protect(StrEnum):
    """Who is told: everybody who is known here, those who work together, the member."""

    PUBLIC = "PUBLIC"
    IDENTIFYING = "IDENTIFYING"
    PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object. meaning: for the reference."""

    name: str
    type: Type
    meaning: str
    create: Create = Create.NOT
    update: bool = False
    match: bool = True
    protect: Protect = Protect.PUBLIC

    def read(self, value: object) -> Value:
        """A value that a client sent for it. Raises BadArgs."""
        match self.type:
            case Type.URN:
                return read_urn(arguments.text(value, self.name).strip(), self.name)
            case Type.UID:
                return _uuid(arguments.text(value, self.name), self.name)
            case Type.DATETIME:
                return moment(value, self.name)
            case Type.BOOLEAN:
                return boolean(value, self.name)
        return arguments.text(value, self.name)


@dataclass(frozen=True)
class Fields:
    """The fields of one kind of object. key: the one by which answers are indexed."""

    kind: str
    key: str
    fields: tuple[Field, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Each field under its name."""
        return {field.name: field for field in self.fields}

    def named(self, name: str, where: str) -> Field:
        """The field of this name, or of one that clients use for it. Raises BadArgs."""
        found = self.by_name.get(self.aliases.get(name, name))
        if found is None:
            raise BadArgs(f"{where}: {self.kind} has no field {name!a:.60}; it has {', '.join(self.by_name)}")
        return found

    def for_creation(self, given: Mapping[str, object]) -> dict[str, Value]:
        """The values for a new object. Raises BadArgs: unknown, not for clients to set, of another type, missing."""
        values = {}
        for name, value in given.items():
            field = self.named(name, "fields")
            if field.create is Create.NOT:
                raise BadArgs(
                    f"{field.name} can't be set when a {self.kind} is made; {self._listed(creation=True)} can"
                )
            values[field.name] = field.read(value)
        needed = [field.name for field in self.fields if field.create is Create.REQUIRED]
        if missing := [name for name in needed if values.get(name) in (None, "")]:
            raise BadArgs(f"a new {self.kind} needs {' and '.join(missing)}")
        return values

    def for_update(self, given: Mapping[str, object]) -> dict[str, Value]:
        """The values to change. Raises BadArgs likewise."""
        values = {}
        for name, value in given.items():
            field = self.named(name, "fields")
            if not field.update:
                raise BadArgs(f"{field.name} of a {self.kind} can't be changed; {self._listed(creation=False)} can")
            values[field.name] = field.read(value)
        return values

    def supplementary(self) -> dict[str, dict[str, object]]:
        """Our additions, as get_version tells of them."""
        return {
            field.name: {
                "OBJECT": self.kind,
                "TYPE": str(field.type),
                "CREATE": str(field.create),
                "UPDATE": field.update,
                "MATCH": field.match,
                "PROTECT": str(field.protect),
            }
            for field in self.fields
            if field.name.startswith("_")
        }

    def _listed(self, *, creation: bool) -> str:
        fields = [f.name for f in self.fields if (f.create is not Create.NOT if creation else f.update)]
        return ", ".join(fields) or "no other"


def moment(value: object, what: str) -> datetime:
    """A time; one without a zone means UTC, which this API's clients leave out. Raises BadArgs."""
    if not isinstance(value, DateTime):
        try:
            at = datetime.fromisoformat(arguments.text(value, what).strip())
        except ValueError:
            pass  # told by what reads it next
        else:
            if at.tzinfo is None:
                return at.replace(tzinfo=UTC)
    return arguments.moment(value, what)


_TRUE, _FALSE = ("t", "true", "1", "yes"), ("f", "false", "0", "no")


def boolean(value: object, what: str) -> bool:
    """A boolean, which some clients send as the text "t" or "f". Raises BadArgs."""
    if isinstance(value, bool):
        return value
    written = str(value).strip().lower() if isinstance(value, str | int) else ""
    if written not in (*_TRUE, *_FALSE):
        raise BadArgs(f"{what} must be a boolean, not {arguments.shown(value)}")
    return written in _TRUE


def _uuid(written: str, what: str) -> str:
    try:
        return str(UUID(written.strip()))
    except ValueError as e:
        raise BadArgs(f"{what} {written!a:.60} is not a UUID") from e


SERVICE = Fields(
    "SERVICE",
    "SERVICE_URN",
    (
        Field("SERVICE_URN", Type.URN, "its name"),
        Field("SERVICE_URL", Type.URL, "where it answers"),
        Field("SERVICE_TYPE", Type.STRING, "AGGREGATE_MANAGER, SLICE_AUTHORITY, MEMBER_AUTHORITY or another"),
        Field("SERVICE_CERT", Type.CERTIFICATE, "its certificate, PEM; empty where none is known", match=False),
        Field("SERVICE_NAME", Type.STRING, "a short name"),
        Field("SERVICE_DESCRIPTION", Type.STRING, "a line about it", match=False),
    ),
)

MEMBER = Fields(
    "MEMBER",
    "MEMBER_URN",
    (
        Field("MEMBER_URN", Type.URN, "the member's name"),
        Field("MEMBER_UID", Type.UID, "UUID, the same as in the certificate"),
        Field("MEMBER_USERNAME", Type.STRING, "the last part of the name"),
        Field(
            "MEMBER_FIRSTNAME",
            Type.STRING,
            "empty where the member gave none",
            update=True,
            protect=Protect.IDENTIFYING,
        ),
        Field(
            "MEMBER_LASTNAME",
            Type.STRING,
            "empty where the member gave none",
            update=True,
            protect=Protect.IDENTIFYING,
        ),
        Field("MEMBER_EMAIL", Type.EMAIL, "mail address", update=True, protect=Protect.IDENTIFYING),
        Field("_GENI_MEMBER_SSL_CERTIFICATE", Type.CERTIFICATE, "the certificate, PEM", match=False),
    ),
)

KEY = Fields(
    "KEY",
    "KEY_ID",
    (
        Field("KEY_MEMBER", Type.URN, "whose it is", create=Create.REQUIRED),
        Field("KEY_ID", Type.STRING, "digest of the key and its member's name"),
        Field("KEY_TYPE", Type.STRING, "the first word of the key, such as ssh-ed25519", create=Create.ALLOWED),
        Field("KEY_PUBLIC", Type.KEY, "the key as OpenSSH writes it", create=Create.REQUIRED),
        Field(
            "KEY_PRIVATE",
            Type.KEY,
            "always empty: private keys are not kept, and one that is sent is refused",
            create=Create.ALLOWED,
            match=False,
            protect=Protect.PRIVATE,
        ),
        Field("KEY_DESCRIPTION", Type.STRING, "the comment behind the key", create=Create.ALLOWED, update=True),
    ),
)

SLICE = Fields(
    "SLICE",
    "SLICE_URN",
    (
        Field("SLICE_URN", Type.URN, "its name"),
        Field("SLICE_UID", Type.UID, "UUID, the same as in its certificate"),
        Field("SLICE_NAME", Type.STRING, "the last part of the name", create=Create.REQUIRED),
        Field("SLICE_DESCRIPTION", Type.STRING, "what it is for", create=Create.ALLOWED, update=True),
        Field("SLICE_PROJECT_URN", Type.URN, "its project", create=Create.ALLOWED),
        Field("SLICE_CREATION", Type.DATETIME, "when it was made", match=False),
        Field("SLICE_EXPIRATION", Type.DATETIME, "when it ends", create=Create.ALLOWED, update=True, match=False),
        Field("SLICE_EXPIRED", Type.BOOLEAN, "whether it has ended"),
    ),
)

PROJECT = Fields(
    "PROJECT",
    "PROJECT_URN",
    (
        Field("PROJECT_URN", Type.URN, "its name"),
        Field("PROJECT_UID", Type.UID, "UUID, the same as in its certificate"),
        Field("PROJECT_NAME", Type.STRING, "the last part of the name", create=Create.REQUIRED),
        Field("PROJECT_DESCRIPTION", Type.STRING, "what it is for", create=Create.ALLOWED, update=True),
        Field("PROJECT_CREATION", Type.DATETIME, "when it was made", match=False),
        Field(
            "PROJECT_EXPIRATION",
            Type.DATETIME,
            "when it ends; empty where it doesn't",
            create=Create.ALLOWED,
            update=True,
            match=False,
        ),
        Field("PROJECT_EXPIRED", Type.BOOLEAN, "whether it has ended"),
    ),
    aliases={"PROJECT_DESC": "PROJECT_DESCRIPTION"},  # geni-lib writes it so
)

SLIVER_INFO = Fields(
    "SLIVER_INFO",
    "SLIVER_INFO_URN",
    (
        Field("SLIVER_INFO_URN", Type.URN, "the sliver", create=Create.REQUIRED),
        Field("SLIVER_INFO_SLICE_URN", Type.URN, "its slice", create=Create.REQUIRED),
        Field("SLIVER_INFO_AGGREGATE_URN", Type.URN, "where it is", create=Create.REQUIRED),
        Field("SLIVER_INFO_CREATOR_URN", Type.URN, "who made it", create=Create.REQUIRED),
        Field(
            "SLIVER_INFO_CREATION", Type.DATETIME, "when; else when we heard of it", create=Create.ALLOWED, match=False
        ),
        Field(
            "SLIVER_INFO_EXPIRATION",
            Type.DATETIME,
            "when it ends; empty where not told",
            create=Create.ALLOWED,
            update=True,
            match=False,
        ),
    ),
)

OF_SERVICE_REGISTRY = (SERVICE,)
OF_MEMBER_AUTHORITY = (MEMBER, KEY)
OF_SLICE_AUTHORITY = (SLICE, PROJECT, SLIVER_INFO)
