"""Who vouches for names: keys of this authority, its members and slices."""

from sfa_am.authority.clearinghouse import Clearinghouse
from sfa_am.authority.founding import found, server_hosts
from sfa_am.authority.keys import Authority
from sfa_am.authority.records import Record, Wanted
from sfa_am.authority.registry import Registry

__all__ = ["Authority", "Clearinghouse", "Record", "Registry", "Wanted", "found", "server_hosts"]
