"""What all doors of this API share: who calls, with what options, and the answer {code, value, output}.

Codes are the API's own (Common Federation API version 2, "Error codes"). `output` begins with the code's name, as
clients look for it there: "DUPLICATE_ERROR (urn:... is registered already) [request 1a2b]".
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any

import structlog
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

from credentials import URN
from sfa_am.authority.callers import NotKnown, Shown
from sfa_am.errors import AlreadyExists, AMError, Forbidden, Refused, ServerError, Unavailable, Unsupported
from sfa_am.slices.identity import read_urn
from sfa_am.wire import arguments
from sfa_am.wire.xmlrpc import Caller, Door

log = structlog.get_logger()

CREDENTIAL_TYPES = [{"type": kind, "version": version} for kind, version in arguments.CREDENTIAL_TYPES]
"""What is read here, as get_version tells it."""


class Code(IntEnum):
    """The API's codes."""

    NONE = 0
    AUTHENTICATION_ERROR = 1
    AUTHORIZATION_ERROR = 2
    ARGUMENT_ERROR = 3
    DATABASE_ERROR = 4
    DUPLICATE_ERROR = 5
    NOT_IMPLEMENTED_ERROR = 100
    SERVER_ERROR = 101


_CODES: tuple[tuple[type[AMError], Code], ...] = (
    (NotKnown, Code.AUTHENTICATION_ERROR),  # before Forbidden, which it is a kind of
    (Forbidden, Code.AUTHORIZATION_ERROR),
    (Refused, Code.AUTHORIZATION_ERROR),
    (AlreadyExists, Code.DUPLICATE_ERROR),
    (Unsupported, Code.NOT_IMPLEMENTED_ERROR),
    (ServerError, Code.SERVER_ERROR),
    (Unavailable, Code.SERVER_ERROR),
)


def code_of(refusal: AMError) -> Code:
    """The API's code for a refusal: whatever no other fits is the arguments' fault, a name that is not here too."""
    return next((code for kind, code in _CODES if isinstance(refusal, kind)), Code.ARGUMENT_ERROR)


def success(value: object) -> dict[str, object]:
    """What was asked for."""
    return {"code": int(Code.NONE), "value": value, "output": ""}


def failure(code: Code, sentence: str, request_id: str) -> dict[str, object]:
    """Why not."""
    ascii_only = sentence.encode("ascii", "backslashreplace").decode()
    return {"code": int(code), "value": None, "output": f"{code.name} ({ascii_only}) [request {request_id}]"}


class FederationDoor(Door):
    """A door of this API."""

    def __init__(self, reactor: IReactorFromThreads, pool: ThreadPool, *, now: Callable[[], datetime]) -> None:
        super().__init__(reactor, pool)
        self._now = now

    async def answer(self, name: str, caller: Caller, call: Callable[[], object]) -> dict[str, object]:
        """Do a call in a thread and say how it went. Never raises."""
        try:
            value = await self.off_reactor(call)
        except AMError as refusal:
            code = code_of(refusal)
            log.info("refused", call=name, code=code.name, reason=str(refusal))
            return failure(code, str(refusal), caller.request_id)
        except Exception:  # the last boundary: a fault would be taken for a broken server
            log.exception("a call failed", call=name)
            return failure(Code.SERVER_ERROR, "internal error, logged under this number", caller.request_id)
        log.info("done", call=name)
        return success(value)


def take(name: str, sent: Sequence[object], *names: str) -> list[Any]:
    """The arguments of a call: those named, then credentials and options. The last two may be left out or empty.

    Raises BadArgs.
    """
    *first, credentials, given = arguments.expect(name, sent, (*names, "credentials", "options"), optional=2)
    return [*first, credentials, {} if given in (None, "", []) else arguments.options(given)]


def shown(caller: Caller, credentials: object, options: Mapping[str, Any]) -> Shown:
    """What a caller brings to be known by. An empty struct is taken for no credentials: some clients send that."""
    documents = arguments.credentials(credentials) if credentials not in (None, "", {}) else ()
    return Shown(
        certificate=caller.gid,
        documents=documents,
        speaking_for=arguments.speaking_for(options, "speaking_for") or arguments.speaking_for(options),
        request_id=caller.request_id,
    )


def fields_of(options: Mapping[str, Any]) -> Mapping[str, object]:
    """The option `fields`. Raises BadArgs."""
    return arguments.options(options.get("fields", {}))


def urn(value: object, what: str) -> URN:
    """A name that a client sent. Raises BadArgs."""
    return read_urn(arguments.text(value, what).strip(), what)


def sfa_credential(document: str) -> list[dict[str, str]]:
    """The answer to get_credentials."""
    return [{"geni_type": "geni_sfa", "geni_version": "3", "geni_value": document}]
