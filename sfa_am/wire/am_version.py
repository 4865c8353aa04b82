"""What GetVersion tells, for both versions of the AM API."""

from collections.abc import Mapping
from dataclasses import dataclass

from credentials import URN
from rspec import PROTOGENI2
from sfa_am.wire import arguments

AM_TYPE = "sfa_am"
RSPEC = "http://www.geni.net/resources/rspec/3"


@dataclass(frozen=True, slots=True)
class About:
    """An aggregate as it presents itself. `urls`: version of the API, as text -> where it is spoken."""

    urn: URN
    title: str
    urls: Mapping[str, str]


def get_version(about: About, version: int) -> dict[str, object]:
    """The value of GetVersion of this version of the API."""
    rspec = {"type": "GENI", "version": "3", "namespace": RSPEC}
    return {
        "geni_api": version,
        "geni_api_versions": dict(about.urls),
        "geni_request_rspec_versions": [
            {**rspec, "schema": f"{RSPEC}/request.xsd", "extensions": []},
            {
                "type": "ProtoGENI",
                "version": "2",
                "namespace": PROTOGENI2,
                "schema": f"{PROTOGENI2}/request.xsd",
                "extensions": [],
            },
        ],
        "geni_ad_rspec_versions": [
            {
                **rspec,
                "schema": f"{RSPEC}/ad.xsd",
                "extensions": ["http://www.geni.net/resources/rspec/ext/opstate/1"],
            }
        ],
        "geni_credential_types": [
            {"geni_type": kind, "geni_version": version} for kind, version in arguments.CREDENTIAL_TYPES
        ],
        "geni_handles_speaksfor": True,
        "geni_single_allocation": 0,  # a number, not a boolean: old tools insist
        "geni_allocate": "geni_many",
        "geni_am_type": AM_TYPE,
        "urn": str(about.urn),
        "hrn": about.urn.hrn,
        "interface": "aggregate",
        "title": about.title,
    }
