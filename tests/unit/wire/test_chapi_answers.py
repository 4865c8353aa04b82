"""Every refusal has one of the federation API's codes, and says its name where clients look for it."""

import pytest

from credentials import GID
from sfa_am import errors
from sfa_am.authority.callers import NotKnown
from sfa_am.errors import AlreadyExists, AMError, BadArgs, Forbidden, NotFound, Unsupported
from sfa_am.wire.chapi.answers import Code, code_of, failure, shown, success, take
from sfa_am.wire.xmlrpc import Caller

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AMError)]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NotKnown, 1),
        (Forbidden, 2),
        (BadArgs, 3),
        (NotFound, 3),
        (AlreadyExists, 5),
        (Unsupported, 100),
    ],
)
def test_a_refusal_has_the_code_of_its_kind(kind, code):
    assert code_of(kind("no")) == code


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_refusal_looks_like_success(kind):
    assert code_of(kind("no")) != Code.NONE


def test_the_output_is_ascii_and_begins_with_the_name_of_the_code():
    told = failure(Code.DUPLICATE_ERROR, "schön", "1a2b")
    assert told == {"code": 5, "value": None, "output": "DUPLICATE_ERROR (sch\\xf6n) [request 1a2b]"}
    assert success({"a": 1}) == {"code": 0, "value": {"a": 1}, "output": ""}


@pytest.mark.parametrize(
    "sent", [("SLICE",), ("SLICE", []), ("SLICE", {}, ""), ("SLICE", None, None), ("SLICE", [], {})]
)
def test_credentials_and_options_may_be_left_empty_in_any_way(sent, plc):
    _, credentials, options = take("lookup", sent, "type")
    assert options == {}
    assert shown(Caller(gid=plc.alice.gid, request_id="1"), credentials, options).documents == ()


@pytest.mark.parametrize("sent", [(), ("SLICE", [], {}, 1), ("SLICE", [], "all"), ("SLICE", [], 7)])
def test_what_can_not_be_read_is_refused(sent):
    with pytest.raises(BadArgs):
        take("lookup", sent, "type")


@pytest.mark.parametrize("option", ["speaking_for", "geni_speaking_for"])
def test_who_is_spoken_for_comes_under_either_name(option, plc):
    caller = Caller(gid=plc.bob.gid, request_id="1")
    assert shown(caller, [], {option: str(plc.alice.urn)}).speaking_for == plc.alice.urn
    assert isinstance(shown(caller, [], {}).certificate, GID)
