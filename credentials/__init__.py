"""SFA and GENI names, certificates (GIDs) and credentials: bytes in, verdict out."""

from credentials.abac import is_abac
from credentials.crl import CRL
from credentials.errors import BadCRL, BadGID, BadKey, BadName, CredentialError, CredentialRefused, GIDRefused
from credentials.gid import GID
from credentials.issue import Issuer, self_signed_root, self_signed_user
from credentials.privilege import Privilege
from credentials.speaks_for import SpeaksFor
from credentials.trust import Root, Trust
from credentials.urn import URN, check_slice_name, check_user_name, transcribe, untranscribe
from credentials.verify import Authorization, Verifier

__all__ = [
    "CRL",
    "GID",
    "URN",
    "Authorization",
    "BadCRL",
    "BadGID",
    "BadKey",
    "BadName",
    "CredentialError",
    "CredentialRefused",
    "GIDRefused",
    "Issuer",
    "Privilege",
    "Root",
    "SpeaksFor",
    "Trust",
    "Verifier",
    "check_slice_name",
    "check_user_name",
    "is_abac",
    "self_signed_root",
    "self_signed_user",
    "transcribe",
    "untranscribe",
]
