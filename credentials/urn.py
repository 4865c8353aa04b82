"""Names of the federation: URNs as GENI writes them, HRNs as the SFA does.

Implements "Identifiers" of the GENI AM API (https://groups.geni.net/geni/wiki/GeniApiIdentifiers) and the URN/HRN
rules of SFAWrap. A name is ASCII without white space: two names that look the same are the same.
"""

import re
from dataclasses import dataclass

from credentials.errors import BadName

PREFIX = "urn:publicid:IDN+"
LONGEST = 255

_AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~%@-]*(:[A-Za-z0-9][A-Za-z0-9._~%@-]*)*")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_NAME = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d-\x7e]+")
"""Printable ASCII but for what XML and shells trip over (space, quote, less, greater) and for the backslash: it escapes
dots in HRNs, and with one of its own two names could have the same HRN."""

_CASELESS_TYPES = frozenset({"slice", "user", "tool"})

_SLICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,18}")
_USER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True, eq=False)
class URN:
    """A name such as urn:publicid:IDN+plc:princeton+user+alice.

    authority: "plc:princeton", most significant first
    type:      "user", "slice", "sliver", "authority", "node", ...
    name:      the rest; may contain "+"

    Compares without case in the authority, and in the names of slices, users and tools; keeps the case it was given.
    Raises BadName.
    """

    authority: str
    type: str
    name: str

    def __post_init__(self) -> None:
        if not _AUTHORITY.fullmatch(self.authority):
            raise BadName(f"authority {self.authority!a:.80}: letters, digits and . _ - are allowed, parts joined by :")
        if not _TYPE.fullmatch(self.type):
            raise BadName(f"type {self.type!a:.80}: a word such as user, slice or authority is expected")
        if not _NAME.fullmatch(self.name):
            raise BadName(f"name {self.name!a:.80}: ASCII without white space, quotes, backslashes and <> is expected")
        if len(str(self)) > LONGEST:
            raise BadName(f"{str(self)[:40]}... is longer than {LONGEST} characters")

    @classmethod
    def parse(cls, text: str) -> "URN":
        """Read a URN. Raises BadName."""
        if text[: len(PREFIX)].lower() != PREFIX.lower():
            raise BadName(f"{text!a:.80} does not begin with {PREFIX}")
        parts = text[len(PREFIX) :].split("+", 2)
        if len(parts) != 3:
            raise BadName(f"{text!a:.80} lacks a part; {PREFIX}authority+type+name is expected")
        return cls(*parts)

    @classmethod
    def from_hrn(cls, hrn: str, type: str) -> "URN":  # noqa: A002 - the field's word
        """The URN of an HRN ("plc.princeton.alice") and a type; "authority" means "authority+sa". Raises BadName."""
        labels = [_unescape(label) for label in re.split(r"(?<!\\)\.", hrn)]
        if "" in labels:
            raise BadName(f"HRN {hrn!a:.80} has an empty part")
        kind, _, suffix = type.partition("+")
        if kind == "authority":
            return cls(":".join(labels), "authority", suffix or "sa")
        if len(labels) < 2:
            raise BadName(f"HRN {hrn!a:.80} names an authority, not a {type!a:.40}")
        return cls(":".join(labels[:-1]), type, labels[-1])

    @property
    def hrn(self) -> str:
        """The HRN: "plc.princeton.alice"; dots within a part are escaped by a backslash."""
        labels = [_escape(label) for label in self.labels]
        if self.type != "authority":
            labels.append(_escape(self.name))
        return ".".join(labels)

    @property
    def hrn_type(self) -> str:
        """What has to stand beside the HRN for it to mean this again: "user", "authority", "authority+am"."""
        return self.type if self.type != "authority" or self.name == "sa" else f"authority+{self.name}"

    @property
    def labels(self) -> tuple[str, ...]:
        """The parts of the authority, most significant first."""
        return tuple(self.authority.split(":"))

    def covers(self, other: "URN") -> bool:
        """Whether this name's authority is the other's or stands above it."""
        return authority_covers(self.authority, other.authority)

    def __str__(self) -> str:
        return f"{PREFIX}{self.authority}+{self.type}+{self.name}"

    def _key(self) -> tuple[str, str, str]:
        name = self.name.lower() if self.type in _CASELESS_TYPES else self.name
        return self.authority.lower(), self.type, name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, URN):
            return NotImplemented
        if (self.name, self.authority, self.type) == (other.name, other.authority, other.type):
            return True
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


_TRANSCRIBED = {
    " ": "+",
    "//": ":",
    "::": ";",
    **{character: f"%{ord(character):02X}" for character in "+:/;'?#%\"<>\\"},
}
_TO_TRANSCRIBE = re.compile("|".join(map(re.escape, _TRANSCRIBED)) + r"|[^\x20-\x7e]")
_TO_READ = re.compile(r"[+:;]|(?:%[0-9A-Fa-f]{2})+")


def transcribe(text: str) -> str:
    """Any text as a part of a URN, as RFC 3151 writes public identifiers: white space at the ends goes, within it
    becomes "+", "//" becomes ":", "::" becomes ";", and what a URN can't hold is written %41."""

    def written(found: re.Match[str]) -> str:
        return _TRANSCRIBED.get(found[0]) or "".join(f"%{byte:02X}" for byte in found[0].encode())

    return _TO_TRANSCRIBE.sub(written, " ".join(text.split()))


def untranscribe(part: str) -> str:
    """The text that `transcribe` was given, but for white space. Raises BadName: escapes that are no UTF-8."""

    def read(found: re.Match[str]) -> str:
        plain = {"+": " ", ":": "//", ";": "::"}.get(found[0])
        return plain if plain is not None else bytes.fromhex(found[0].replace("%", "")).decode()

    try:
        return _TO_READ.sub(read, part)
    except UnicodeDecodeError as e:
        raise BadName(f"{part!a:.80} holds escapes that are no UTF-8") from e


def authority_covers(above: str, below: str) -> bool:
    """Whether authority "a:b" is `below` or stands above it. "a" covers "a:b", but not "ab" nor "a.b"."""
    upper, lower = above.lower().split(":"), below.lower().split(":")
    return lower[: len(upper)] == upper


def check_slice_name(name: str) -> None:
    """The rule for slices made here. Slices of other authorities may have other names. Raises BadName."""
    if not _SLICE_NAME.fullmatch(name):
        raise BadName(f"slice name {name!a:.40}: 1 to 19 letters, digits and hyphens are allowed, no hyphen first")


def check_user_name(name: str) -> None:
    """The rule for users made here. Raises BadName."""
    if not _USER_NAME.fullmatch(name):
        raise BadName(f"user name {name!a:.40}: a letter, then up to 31 letters, digits and underscores are allowed")


def _escape(label: str) -> str:
    return label.replace(".", r"\.")


def _unescape(label: str) -> str:
    return label.replace(r"\.", ".")
