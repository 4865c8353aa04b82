"""What clients send, made into values: credentials, options, times, users. Everything wrong here is BADARGS.

Lenient where tools of the field differ (GENI AM API v3, "Common Concepts"; what each client really sends was learnt by
running them): credentials as structs or bare strings, text as string or base64, booleans as 0 and 1, unknown options.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xmlrpc.client import Binary, DateTime

from credentials import URN
from rspec import SecurityGroup, SecurityRule
from sfa_am.errors import BadArgs, BadVersion, Unsupported
from sfa_am.slices.identity import read_urn

CREDENTIAL_TYPES = (("geni_sfa", "2"), ("geni_sfa", "3"), ("geni_abac", "1"))
"""Type and version. Versions 2 and 3 of geni_sfa are one format: what version 3 asks for beyond 2 is that certificates
name a UUID and a mail address, which nothing here depends on."""


def expect(call: str, sent: Sequence[object], names: Sequence[str], *, optional: int = 0) -> list[Any]:
    """Check the number of arguments; the last `optional` may be missing and then are empty structs."""
    least, most = len(names) - optional, len(names)
    if not least <= len(sent) <= most:
        raise BadArgs(f"{call} takes {most} arguments ({', '.join(names)}), and {len(sent)} were sent")
    return [*sent, *({} for _ in range(most - len(sent)))]


def text(value: object, what: str) -> str:
    """A string, which some tools send as base64."""
    if isinstance(value, Binary):
        try:
            return value.data.decode("utf-8")
        except UnicodeDecodeError as e:
            raise BadArgs(f"{what} is base64 of something that is not UTF-8 text") from e
    if not isinstance(value, str):
        raise BadArgs(f"{what} must be a string, not {_kind(value)}")
    return value


def texts(value: object, what: str) -> list[str]:
    """An array of strings; one string alone is taken as an array of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise BadArgs(f"{what} must be an array of strings, not {_kind(value)}")
    return [text(one, f"{what}[{number}]") for number, one in enumerate(value)]


def options(value: object) -> Mapping[str, Any]:
    """The options struct. Unknown options are ignored, as the specification asks."""
    if not isinstance(value, dict):
        raise BadArgs(f"options must be a struct, not {_kind(value)}")
    return value


def credentials(value: object) -> tuple[str, ...]:
    """The SFA and ABAC credentials among those sent, as XML text.

    Raises BadArgs when something was sent and none of it is a type we read, saying which types those are.
    """
    if not isinstance(value, list):
        raise BadArgs(f"credentials must be an array, not {_kind(value)}")
    documents, strange = [], []
    for number, one in enumerate(value):
        what = f"credentials[{number}]"
        if isinstance(one, str | Binary):
            documents.append(text(one, what))  # version 2 of the API sends the bare document
        elif not isinstance(one, dict):
            raise BadArgs(f"{what} must be a struct with geni_type, geni_version and geni_value, not {_kind(one)}")
        elif (named := _type_of(one)) in CREDENTIAL_TYPES:
            documents.append(text(one.get("geni_value"), f"{what}.geni_value"))
        else:
            strange.append(" ".join(named))
    if strange and not documents:
        expected = " or ".join(" ".join(known) for known in CREDENTIAL_TYPES)
        raise BadArgs(f"credentials of type {', '.join(strange)!r:.200} are not read here; {expected} is expected")
    return tuple(documents)


def _type_of(one: Mapping[str, object]) -> tuple[str, str]:
    """Type and version named beside a credential; the version comes as text or as a number, whole or not."""
    kind, version = _plain(one.get("geni_type")), _plain(one.get("geni_version"))
    return kind.strip().lower(), version.strip().removesuffix(".0")


def speaking_for(given: Mapping[str, Any], name: str = "geni_speaking_for") -> URN | None:
    """The option that names the user for whom a tool says to speak. `name`: how the API calls it."""
    value = given.get(name)
    if value in (None, ""):
        return None
    return read_urn(text(value, f"option {name}").strip(), f"option {name}")


def flag(given: Mapping[str, Any], name: str) -> bool:
    """A boolean option; absent is false."""
    value = given.get(name, False)
    if isinstance(value, str):
        if value.lower() not in ("true", "false", "1", "0", ""):
            raise BadArgs(f"option {name} must be a boolean, not {value!r:.50}")
        return value.lower() in ("true", "1")
    if not isinstance(value, bool | int) and value is not None:
        raise BadArgs(f"option {name} must be a boolean, not {_kind(value)}")
    return bool(value)


def moment(value: object, what: str) -> datetime:
    """A time as RFC 3339 text, or XML-RPC's own form (which has no zone and is taken as UTC, as the API says)."""
    if isinstance(value, DateTime):
        return _parsed(str(value), what).replace(tzinfo=UTC)
    written = text(value, what).strip()
    at = _parsed(written, what)
    if at.tzinfo is None:
        raise BadArgs(f"{what} {written!r} has no time zone; write it as {at.isoformat(timespec='seconds')}Z for UTC")
    try:
        return at.astimezone(UTC)
    except OverflowError as e:
        raise BadArgs(f"{what} {written!r} is out of range") from e


def _parsed(written: str, what: str) -> datetime:
    try:
        return datetime.fromisoformat(written)
    except ValueError as e:
        raise BadArgs(f"{what} {written!r:.60} is not a time; write it as 2026-12-31T23:59:59Z") from e


def end_time(given: Mapping[str, Any]) -> datetime | None:
    """The option geni_end_time, where given."""
    value = given.get("geni_end_time")
    return None if value in (None, "") else moment(value, "option geni_end_time")


def start_time(given: Mapping[str, Any], now: datetime) -> None:
    """The option geni_start_time: only "now" is offered. Raises BadArgs, Unsupported."""
    value = given.get("geni_start_time")
    if value not in (None, "") and moment(value, "option geni_start_time") > now:
        raise Unsupported(
            "option geni_start_time lies ahead, and reservations in advance are not offered here; leave it out"
        )


def users(given: Mapping[str, Any]) -> list[tuple[str, list[str]]] | None:
    """The option geni_users as (URN, keys) pairs; None when absent."""
    value = given.get("geni_users")
    return None if value is None else people(value, "geni_users")


def people(value: object, name: str) -> list[tuple[str, list[str]]]:
    """Users with their keys, as (URN, keys) pairs: an array of structs. `name`: of the argument."""
    if not isinstance(value, list):
        raise BadArgs(f"{name} must be an array of structs, not {_kind(value)}")
    result = []
    for number, user in enumerate(value):
        what = f"{name}[{number}]"
        if not isinstance(user, dict) or "urn" not in user:
            raise BadArgs(f"{what} must be a struct with urn and keys")
        result.append((text(user["urn"], f"{what}.urn"), texts(user.get("keys", []), f"{what}.keys")))
    return result


def security_group(given: Mapping[str, Any]) -> SecurityGroup | None:
    """The option sfa_security_group, None when absent: a struct of `spoofing` and `rules`, these structs with the
    attributes that rules have in RSpecs. What the values mean is not judged here.
    """
    name = "sfa_security_group"
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadArgs(f"{name} must be a struct, not {_kind(value)}")
    _only(value, ("spoofing", "rules"), name)
    rules = value.get("rules", [])
    if not isinstance(rules, list):
        raise BadArgs(f"{name}.rules must be an array of structs, not {_kind(rules)}")
    spoofing = value.get("spoofing")
    return SecurityGroup.of(
        [_security_rule(rule, f"{name}.rules[{number}]") for number, rule in enumerate(rules)],
        spoofing=None if spoofing is None else _line(spoofing, f"{name}.spoofing"),
    )


def _security_rule(value: object, what: str) -> SecurityRule:
    if not isinstance(value, dict) or "action" not in value:
        raise BadArgs(f"{what} must be a struct with action")
    _only(value, ("action", "protocol", "ports", "source", "interface"), what)
    said = {key: _line(one, f"{what}.{key}") for key, one in value.items()}
    return SecurityRule.of(
        said["action"],
        protocol=said.get("protocol"),
        ports=said.get("ports"),
        source_prefix=said.get("source"),
        interface=said.get("interface"),
    )


def _only(value: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Rather than pass over what somebody relies on."""
    if unknown := sorted(str(key) for key in value if key not in known):
        raise BadArgs(f"{what} has no {unknown[0]!a:.60}; it has {', '.join(known)}")


def _line(value: object, what: str) -> str:
    """Text that can stand in an attribute."""
    line = text(value, what)
    if not line.isprintable():
        raise BadArgs(f"{what} has control characters")
    return line


def rspec_version(given: Mapping[str, Any]) -> None:
    """Check the mandatory option geni_rspec_version: GENI 3 is what we write. Raises BadArgs, BadVersion."""
    value = given.get("geni_rspec_version")
    if isinstance(value, str) and len(value.split()) == 2:  # some tools write "GENI 3"
        kind, version = value.split()
    elif isinstance(value, dict) and {"type", "version"} <= value.keys():
        kind, version = _plain(value["type"]), _plain(value["version"])
    else:
        raise BadArgs("option geni_rspec_version is needed: a struct with type and version, for example GENI and 3")
    if (kind.strip().lower(), version.strip()) != ("geni", "3"):
        raise BadVersion(f"RSpec {kind!r:.30} version {version!r:.30} is not written here; GENI version 3 is")


def printable(written: str) -> str:
    """Text as XML can carry it: of control characters only tabs and new lines are left."""
    return "".join(c if c.isprintable() or c in "\t\n" else "?" for c in written.replace("\r\n", "\n"))


def shown(value: object) -> str:
    """A value of any type as a sentence quotes it; what is neither text nor a number is named by its kind."""
    return f"{value!a:.60}" if isinstance(value, str) else _plain(value)


def _plain(value: object) -> str:
    return str(value) if isinstance(value, str | int | float) else _kind(value)


def _kind(value: object) -> str:
    names = {dict: "a struct", list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    names |= {Binary: "base64", DateTime: "a time"}
    return "nothing" if value is None else names.get(type(value), "something else")
