"""What each call must answer: method by method, argument by argument, option by option.

`CASES` is run by test_conformance.py and printed as docs/reference/conformance.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from xmlrpc.client import Binary, DateTime

from unit.am.small import KEY, REQUEST, request

V2, V3 = 2, 3

NAMES = {0: "SUCCESS", 1: "BADARGS", 3: "FORBIDDEN", 4: "BADVERSION", 6: "TOOBIG", 7: "REFUSED"} | {
    11: "UNAVAILABLE",
    12: "SEARCHFAILED",
    13: "UNSUPPORTED",
    17: "ALREADYEXISTS",
}

NOTHING, ALLOCATED, RUNNING, UPDATING, SHUT_DOWN = "nothing", "allocated", "running", "an update pending", "shut down"

ARGUMENTS: dict[tuple[int, str], tuple[str, ...]] = {
    (V2, "GetVersion"): ("options",),
    (V2, "ListResources"): ("credentials", "options"),
    (V2, "CreateSliver"): ("slice_urn", "credentials", "rspec", "users", "options"),
    (V2, "SliverStatus"): ("slice_urn", "credentials", "options"),
    (V2, "RenewSliver"): ("slice_urn", "credentials", "expiration_time", "options"),
    (V2, "DeleteSliver"): ("slice_urn", "credentials", "options"),
    (V2, "Shutdown"): ("slice_urn", "credentials", "options"),
    (V3, "GetVersion"): ("options",),
    (V3, "ListResources"): ("credentials", "options"),
    (V3, "Describe"): ("urns", "credentials", "options"),
    (V3, "Allocate"): ("slice_urn", "credentials", "rspec", "options"),
    (V3, "Update"): ("urns", "credentials", "rspec", "options"),
    (V3, "Provision"): ("urns", "credentials", "options"),
    (V3, "Cancel"): ("urns", "credentials", "options"),
    (V3, "Status"): ("urns", "credentials", "options"),
    (V3, "Renew"): ("urns", "credentials", "expiration_time", "options"),
    (V3, "PerformOperationalAction"): ("urns", "credentials", "action", "options"),
    (V3, "Delete"): ("urns", "credentials", "options"),
    (V3, "Shutdown"): ("slice_urn", "credentials", "options"),
}
"""The methods with their arguments, in order; the last one may be left out."""

GIVEN = {
    "GetVersion": NOTHING,
    "ListResources": NOTHING,
    "CreateSliver": NOTHING,
    "Allocate": NOTHING,
    "Provision": ALLOCATED,
    "Cancel": UPDATING,
}
"""What the slice holds before a call that should succeed; RUNNING where nothing is said."""

LOOKS = ("GetVersion", "ListResources", "Describe", "Status", "SliverStatus")

RSPEC_VERSION = {"geni_rspec_version": {"type": "GENI", "version": "3"}}
LARGER = REQUEST.replace('name="container"', 'name="container-large"')
OTHERS = request('<node client_id="third"><sliver_type name="container"/></node>')


@dataclass(frozen=True)
class Case:
    """One line of the table.

    about: the argument or option that it is about; what: what of it
    given: what the slice holds before; sent: arguments that differ from those of a good call, by name
    look:  what else must be true of the answer
    """

    version: int
    method: str
    about: str
    what: str
    code: int
    given: str
    sent: dict[str, Any] = field(default_factory=dict)
    look: Callable[[Any, Any], bool] = lambda am, answer: True

    @property
    def id(self) -> str:
        """The test's name."""
        return f"v{self.version}-{self.method}-{self.about}-{self.what}-{NAMES[self.code]}".replace(" ", "_")


def cases() -> Iterator[Case]:
    """All of them."""
    for (version, method), arguments in ARGUMENTS.items():
        given = GIVEN.get(method, RUNNING)

        def case(
            about: str,
            what: str,
            code: int,
            *,
            given: str = given,
            look: Callable[[Any, Any], bool] = lambda am, answer: True,
            version: int = version,
            method: str = method,
            **sent: Any,
        ) -> Case:
            return Case(version, method, about, what, code, given, sent, look)

        yield case("call", "all arguments good", 0)
        yield case("call", "without options", 1 if _needs_version(method) else 0, options=...)
        yield from _options(case, version, method)
        if method == "GetVersion":
            continue
        yield case("call", "no arguments", 1, call=())
        yield case("call", "an argument too many", 1, call=(*arguments, "options"))
        yield from _credentials(case, method)
        if "slice_urn" in arguments:
            yield from _slice_urn(case)
        if "urns" in arguments:
            yield from _urns(case, method)
        if method not in LOOKS:
            yield case("slice", "was shut down", 3, given=SHUT_DOWN)
        if method not in (*LOOKS, "CreateSliver", "Allocate"):
            yield case("slice", "has nothing here", 12, given=NOTHING)
        if "rspec" in arguments:
            yield from _rspec(case, method)
        if "expiration_time" in arguments:
            yield from _expiration_time(case)
        if "action" in arguments:
            yield from _action(case)
        if "users" in arguments:
            yield from _users(case)
        yield from _states(case, method)


def _needs_version(method: str) -> bool:
    return method in ("ListResources", "Describe", "Provision")


def _options(case: Callable[..., Case], version: int, method: str) -> Iterator[Case]:
    yield case("options", "unknown ones", 0, options={"sfa_unheard_of": 1, "help": None, "verbose": [1]})
    if method != "GetVersion":
        yield case("options", "not a struct", 1, options=[])
        yield case("geni_speaking_for", "without a speaks-for credential", 3, options={"geni_speaking_for": "alice"})
        yield case("geni_speaking_for", "not a URN", 1, options={"geni_speaking_for": "al ice"})
    if _needs_version(method):
        for what, code, value in (
            ("left out", 1, ...),
            ("text", 0, "GENI 3"),
            ("in other letters and numbers", 0, {"type": "geni", "version": 3}),
            ("one that is not written here", 4, {"type": "SFA", "version": "1"}),
            ("no type", 1, {"version": "3"}),
        ):
            yield case("geni_rspec_version", what, code, options={"geni_rspec_version": value})
    if method in ("ListResources", "Describe"):
        yield case("geni_compressed", "true", 0, options={"geni_compressed": True}, look=_is_compressed)
        yield case("geni_compressed", "not a boolean", 1, options={"geni_compressed": "perhaps"})
    if method == "ListResources":
        yield case("geni_available", "true", 0, options={"geni_available": 1})
        yield case("geni_available", "not a boolean", 1, options={"geni_available": {}})
        if version == V2:
            yield case("geni_slice_urn", "a slice", 0, given=RUNNING, options={"geni_slice_urn": "slice"})
            yield case("geni_slice_urn", "a slice with nothing here", 0, options={"geni_slice_urn": "slice"})
            yield case("geni_slice_urn", "not a slice", 1, options={"geni_slice_urn": "alice"})
            yield case("geni_slice_urn", "another slice than the credential's", 3, options={"geni_slice_urn": "other"})
    if method in ("Allocate", "Update", "Provision", "CreateSliver"):
        yield case("geni_end_time", "a time", 0, options={"geni_end_time": "2026-06-01T12:05:00Z"}, look=_ends_at_five)
        yield case("geni_end_time", "not a time", 1, options={"geni_end_time": "soon"})
        yield case("geni_end_time", "without a time zone", 1, options={"geni_end_time": "2026-06-01T12:05:00"})
    if method == "Allocate":
        yield case("geni_start_time", "now", 0, options={"geni_start_time": "2026-06-01T12:00:00Z"})
        yield case("geni_start_time", "ahead", 13, options={"geni_start_time": "2026-06-02T12:00:00Z"})
    if method in ("Allocate", "Update"):
        yield case("sfa_dry_run", "true", 0, options={"sfa_dry_run": True}, look=_nothing_new)
    if method == "Provision":
        yield case("geni_users", "left out", 0, options={"geni_users": ...})
        yield case("geni_users", "not an array", 1, options={"geni_users": {}})
        yield case("geni_users", "a key with options", 1, options={"geni_users": [_user(f'command="x" {KEY}')]})
        yield case("geni_users", "several people, several keys", 0, options={"geni_users": [_user(KEY, KEY), _user()]})
    if method in ("Provision", "Renew", "PerformOperationalAction", "Delete", "Cancel"):
        yield case("geni_best_effort", "true", 0, options={"geni_best_effort": True})
        yield case("geni_best_effort", "not a boolean", 1, options={"geni_best_effort": "some"})
    if method in ("Renew", "RenewSliver"):
        far = "2027-06-01T12:00:00Z"
        yield case("geni_extend_alap", "true, and too far", 0, expiration_time=far, options={"geni_extend_alap": True})
    if method == "Describe":
        yield case("geni_cancelled", "true", 0, given=UPDATING, options={"geni_cancelled": True})


def _credentials(case: Callable[..., Case], method: str) -> Iterator[Case]:
    for what, code, credentials in (
        ("none", 3, []),
        ("not an array", 1, "good"),
        ("as a struct", 0, ["struct"]),
        ("as bare text", 0, ["good"]),
        ("as base64", 0, ["binary"]),
        ("one of several is good", 0, ["other", "good"]),
        ("of a type that is not read", 1, ["strange type"]),
        ("a struct without a value", 1, ["no value"]),
        ("not XML", 3, ["nonsense"]),
        ("expired", 3, ["expired"]),
        ("somebody else's", 3, ["somebody's"]),
        ("from an authority that is not trusted", 3, ["untrusted"]),
        ("altered", 3, ["altered"]),
        ("a number", 1, [7]),
    ):
        yield case("credentials", what, code, credentials=credentials)
    if method != "ListResources":
        yield case("credentials", "about another slice", 3, credentials=["other"])
        yield case("credentials", "without the privilege", 3, credentials=["resolve only"])


def _slice_urn(case: Callable[..., Case]) -> Iterator[Case]:
    yield case("slice_urn", "not a URN", 1, slice_urn="s1")
    yield case("slice_urn", "of something else", 1, slice_urn="alice")
    yield case("slice_urn", "not a string", 1, slice_urn=["slice"])
    yield case("slice_urn", "in other letters", 0, slice_urn="SLICE")
    yield case("slice_urn", "another slice", 3, slice_urn="other")


def _urns(case: Callable[..., Case], method: str) -> Iterator[Case]:
    yield case("urns", "empty", 1, urns=[])
    yield case("urns", "not a URN", 1, urns=["s1"])
    yield case("urns", "of something else", 1, urns=["alice"])
    yield case("urns", "two slices", 1, urns=["slice", "other"])
    yield case("urns", "a string instead of an array", 0, urns="slice")
    yield case("urns", "a number", 1, urns=7)
    yield case("urns", "another slice", 3, urns=["other"])
    if method == "Update":
        yield case("urns", "a sliver", 1, urns=["sliver"])
        return
    yield case("urns", "a slice and a sliver", 1, urns=["slice", "sliver"])
    yield case("urns", "a sliver that is not there", 12, urns=["urn:publicid:IDN+plc+sliver+0123456789abcdef0123"])
    yield case("urns", "a sliver of another aggregate", 12, urns=["urn:publicid:IDN+elsewhere+sliver+1"])
    yield case("urns", "a sliver of another slice", 12, urns=["other sliver"])
    one = "link" if method == "Cancel" else "sliver"
    yield case("urns", "one sliver", 0, urns=[one])
    yield case("urns", "the same sliver twice", 0, urns=[one, one])


def _rspec(case: Callable[..., Case], method: str) -> Iterator[Case]:
    def node(inside: str = '<sliver_type name="container"/>', attributes: str = "") -> str:
        return request(f'<node client_id="n9" {attributes}>{inside}</node>')

    for what, code, rspec in (
        ("not XML", 1, "<rspec"),
        ("not a string", 1, {}),
        ("as base64", 0, Binary(OTHERS.encode())),
        ("empty", 1, ""),
        ("with a document type", 1, f"<!DOCTYPE x [<!ENTITY a 'b'>]>{OTHERS}"),
        ("a manifest", 4, OTHERS.replace('type="request"', 'type="manifest"')),
        ("of a version that is not read", 4, OTHERS.replace("rspec/3", "rspec/7")),
        ("without a node", 1, request()),
        ("a client_id twice", 1, request('<node client_id="a"/><node client_id="a"/>')),
        ("an unknown sliver type", 1, node('<sliver_type name="mainframe"/>')),
        ("an unknown image", 1, node('<sliver_type name="container"><disk_image name="x"/></sliver_type>')),
        ("an unknown component", 1, node(attributes='component_id="urn:publicid:IDN+plc+node+nowhere"')),
        ("bound to another aggregate", 1, node(attributes='component_manager_id="urn:publicid:IDN+e+authority+cm"')),
        ("an exclusive node", 13, node(attributes='exclusive="true"')),
        ("more than there is", 6, request(*(f'<node client_id="m{i}"/>' for i in range(150)))),
        ("more than a slice may hold", 6, request(*(f'<node client_id="m{i}"/>' for i in range(1100)))),
    ):
        yield case("rspec", what, code, rspec=rspec, look=_nothing_new if code else (lambda am, answer: True))


def _expiration_time(case: Callable[..., Case]) -> Iterator[Case]:
    for what, code, value in (
        ("with an offset", 0, "2026-06-03T14:00:00+02:00"),
        ("as XML-RPC's own type", 0, DateTime("20260603T12:00:00")),
        ("past", 1, "2026-05-01T00:00:00Z"),
        ("without a time zone", 1, "2026-06-03T12:00:00"),
        ("not a time", 1, "next week"),
        ("not a string", 1, 1780000000),
        ("too far", 7, "2027-06-01T12:00:00Z"),
    ):
        look = _names_the_latest if code == 7 else (lambda am, answer: True)
        yield case("expiration_time", what, code, expiration_time=value, look=look)


def _action(case: Callable[..., Case]) -> Iterator[Case]:
    for action in ("geni_start", "geni_stop", "geni_restart", "geni_reload"):
        yield case("action", action, 0, action=action)
    users = {"geni_users": [_user(KEY)]}
    yield case("action", "geni_update_users", 0, action="geni_update_users", options=users)
    yield case("action", "geni_update_users without geni_users", 1, action="geni_update_users")
    rules: dict[str, object] = {
        "rules": [{"action": "deny", "protocol": "tcp", "ports": "22", "source": "192.0.2.0/24"}]
    }
    for what, code, group in (
        ("sfa_update_rules", 0, rules),
        ("sfa_update_rules that takes all away", 0, {}),
        ("sfa_update_rules without sfa_security_group", 1, ...),
        ("sfa_update_rules: not a struct", 1, "deny"),
        ("sfa_update_rules: rules that are no array", 1, {"rules": "deny"}),
        ("sfa_update_rules: a rule without action", 1, {"rules": [{}]}),
        ("sfa_update_rules: a word of a rule that is none", 1, {"rules": [{"action": "deny", "port": "22"}]}),
        ("sfa_update_rules: an interface of no link", 1, {"rules": [{"action": "deny", "interface": "nowhere"}]}),
        ("sfa_update_rules: what can't be reached", 13, {"rules": [{"action": "allow", "protocol": "udp"}]}),
    ):
        yield case("action", what, code, action="sfa_update_rules", options={"sfa_security_group": group})
    yield case("action", "sfa_console_log", 0, action="sfa_console_log", look=_shows_consoles)
    yield case("action", "sfa_console_log of a link", 13, action="sfa_console_log", urns=["link"])
    yield case("action", "sfa_console_log before Provision", 13, action="sfa_console_log", given=ALLOCATED)
    yield case("action", "unknown", 13, action="geni_fly")
    yield case("action", "empty", 13, action="")
    yield case("action", "not a string", 1, action=7)
    yield case("action", "before Provision", 13, action="geni_start", given=ALLOCATED)
    yield case("action", "of a link", 13, urns=["link"])


def _users(case: Callable[..., Case]) -> Iterator[Case]:
    yield case("users", "none", 0, users=[])
    yield case("users", "not an array", 1, users="alice")
    yield case("users", "without a URN", 1, users=[{"keys": [KEY]}])
    yield case("users", "a key that is none", 1, users=[_user("ssh-rsa nonsense")], look=_nothing_new)
    yield case("users", "several people, several keys", 0, users=[_user(KEY, KEY), _user()])


def _states(case: Callable[..., Case], method: str) -> Iterator[Case]:
    match method:
        case "Status" | "SliverStatus":
            yield case("slice", "has nothing here", 12, given=NOTHING)
        case "Describe":
            yield case("slice", "has nothing here", 0, given=NOTHING)
        case "Allocate":
            yield case("slice", "has others already", 0, given=RUNNING, rspec=OTHERS)
            yield case("slice", "has these already", 17, given=RUNNING)
        case "CreateSliver":
            yield case("slice", "has something already", 17, given=RUNNING, rspec=OTHERS)
        case "Provision":
            yield case("state", "provisioned already", 13, given=RUNNING)
            yield case("state", "an update pending", 0, given=UPDATING)
        case "Cancel":
            yield case("state", "allocated", 0, given=ALLOCATED)
            yield case("state", "nothing to take back", 13, given=RUNNING)
        case "Renew" | "Delete":
            yield case("state", "allocated", 0, given=ALLOCATED, expiration_time="2026-06-01T13:00:00Z")
            yield case("state", "an update pending", 0, given=UPDATING, expiration_time="2026-06-01T12:30:00Z")
        case "Update":
            yield case("state", "allocated", 0, given=ALLOCATED, rspec=OTHERS)
            yield case("state", "something that runs would change", 13, rspec=LARGER)


def _user(*keys: str) -> dict[str, Any]:
    return {"urn": "urn:publicid:IDN+plc+user+alice", "keys": list(keys)}


# What else must be true of an answer


def _is_compressed(am: Any, answer: Any) -> bool:
    import base64
    import zlib

    value = answer["value"] if isinstance(answer["value"], str) else answer["value"]["geni_rspec"]
    return zlib.decompress(base64.b64decode(value)).startswith(b"<")


def _ends_at_five(am: Any, answer: Any) -> bool:
    from sfa_am.store import schema

    ends = {row["expires_at"] for row in am.rows(schema.sliver) if row["client_id"] in ("left", "third")}
    return am.now + timedelta(minutes=5) in ends


def _nothing_new(am: Any, answer: Any) -> bool:
    from sfa_am.store import schema

    return {row["client_id"] for row in am.rows(schema.sliver)} <= {"left", "right", "cable"} and not (
        answer["code"]["geni_code"] and am.woken > 1
    )


def _shows_consoles(am: Any, answer: Any) -> bool:
    return sorted(one["sfa_console_log"] for one in answer["value"]) == ["left: start 1\n", "right: start 1\n"]


def _names_the_latest(am: Any, answer: Any) -> bool:
    return answer["value"] == "2026-07-01T12:00:00Z" and answer["value"] in answer["output"]


CASES = tuple(cases())


def page() -> str:
    """The table, as Markdown."""
    parts = [
        "<!-- Written by docs/generate.py (make docs); change tests/unit/am/conformance.py instead. -->\n",
        "# Conformance\n",
        "What each call of the AM API answers, argument by argument and option by option. Every line is a test: "
        "`pytest tests/unit/am/test_conformance.py` runs them through the doors of both versions; `-k` with words of a "
        "line runs that one. Codes are those of the API; every refusal has left all rows as they were, and is one "
        "ASCII sentence without a traceback or the name of anything underneath.\n",
    ]
    for version, method in ARGUMENTS:
        parts.append(f"\n## Version {version}: {method}({', '.join(ARGUMENTS[version, method])})\n")
        parts.append("| argument or option | what | the slice holds | code |\n|---|---|---|---|")
        parts.extend(
            f"| `{one.about}` | {one.what} | {one.given} | {one.code} {NAMES[one.code]} |"
            for one in CASES
            if (one.version, one.method) == (version, method)
        )
    return "\n".join(parts) + "\n"
