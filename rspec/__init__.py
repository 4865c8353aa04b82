"""GENI resource specifications: read requests, write advertisements and manifests."""

from rspec.errors import Invalid, Malformed, RSpecError, WrongVersion
from rspec.model import (
    AdImage,
    AdNode,
    AdSliverType,
    Advertisement,
    GrantedInterface,
    GrantedLink,
    GrantedNode,
    Interface,
    Link,
    LoginService,
    LoginUser,
    Manifest,
    Node,
    OpAction,
    OpState,
    OpStateMachine,
    OpWait,
    Request,
)
from rspec.v3_client import read_advertisement, read_manifest
from rspec.v3_read import read_link, read_node, read_request
from rspec.v3_write import ad_node_fragment, write_advertisement, write_manifest

__all__ = [
    "AdImage",
    "AdNode",
    "AdSliverType",
    "Advertisement",
    "GrantedInterface",
    "GrantedLink",
    "GrantedNode",
    "Interface",
    "Invalid",
    "Link",
    "LoginService",
    "LoginUser",
    "Malformed",
    "Manifest",
    "Node",
    "OpAction",
    "OpState",
    "OpStateMachine",
    "OpWait",
    "RSpecError",
    "Request",
    "WrongVersion",
    "ad_node_fragment",
    "read_advertisement",
    "read_link",
    "read_manifest",
    "read_node",
    "read_request",
    "write_advertisement",
    "write_manifest",
]
