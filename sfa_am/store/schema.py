"""The tables, as SQLAlchemy Core sees them; `migrations/` brings a database to this shape.

Desired and observed state of a sliver stand in one row; an operation row says that the two may differ and somebody
should look. A link is a sliver like a node. Times are aware UTC on the Python side and microseconds since 1970 in the
database, which both SQLite and PostgreSQL sort and compare quickly.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC moment, stored as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times: they mean something else on every machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Back to an aware datetime."""
        return None if value is None else _EPOCH + value * _MICROSECOND


# Names for every constraint, so that migrations can speak of them on both databases.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Who vouches for names: the registry, the slice authority and the member authority are views of these.

authority = Table(
    "authority",
    metadata,
    Column("urn", String(255), primary_key=True),
    Column("parent_urn", ForeignKey("authority.urn"), index=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    Column("gid", Text, nullable=False),
    Column("expires_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
)

member = Table(
    "member",
    metadata,
    Column("urn", String(255), primary_key=True),  # folded: these names compare without case
    Column("name", String(255), nullable=False),  # the URN as it was given
    Column("authority_urn", ForeignKey("authority.urn"), nullable=False, index=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("email", String(255), nullable=False),
    Column("gid", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

member_key = Table(
    "member_key",
    metadata,
    Column("member_urn", ForeignKey("member.urn", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("public_key", Text, nullable=False),
)

node = Table(
    "node",
    metadata,
    Column("urn", String(255), primary_key=True),  # folded: these names compare without case
    Column("name", String(255), nullable=False),  # the URN as it was given
    Column("authority_urn", ForeignKey("authority.urn"), nullable=False, index=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("hostname", String(255), nullable=False),
    Column("gid", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

ROLES = "role IN ('lead', 'admin', 'member', 'auditor', 'operator')"

authority_member = Table(
    "authority_member",
    metadata,
    Column("authority_urn", ForeignKey("authority.urn", ondelete="CASCADE"), primary_key=True),
    Column("member_urn", ForeignKey("member.urn", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    CheckConstraint(ROLES, name="role"),
)

registered_slice = Table(
    "registered_slice",
    metadata,
    Column("urn", String(255), primary_key=True),  # folded: these names compare without case
    Column("name", String(255), nullable=False),  # the URN as it was given
    Column("authority_urn", ForeignKey("authority.urn"), nullable=False, index=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("description", Text, nullable=False, default=""),
    Column("gid", Text, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

slice_member = Table(
    "slice_member",
    metadata,
    Column("slice_urn", ForeignKey("registered_slice.urn", ondelete="CASCADE"), primary_key=True),
    Column("member_urn", ForeignKey("member.urn", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), nullable=False, default="member", server_default="member"),
    CheckConstraint(ROLES, name="role"),
)

# What the clearinghouse keeps beside them.

member_profile = Table(
    "member_profile",
    metadata,
    Column("member_urn", ForeignKey("member.urn", ondelete="CASCADE"), primary_key=True),
    Column("first_name", String(255), nullable=False, default=""),
    Column("last_name", String(255), nullable=False, default=""),
)

service = Table(
    "service",
    metadata,
    Column("urn", String(255), primary_key=True),
    Column("url", String(2000), primary_key=True),  # an aggregate has one for each version of its API
    Column("type", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("certificate", Text, nullable=False, default=""),  # PEM
    Column("created_at", UtcTime, nullable=False),
)

# What tools tell of slivers, here or elsewhere: hints for people, never believed.
sliver_info = Table(
    "sliver_info",
    metadata,
    Column("urn", String(255), primary_key=True),
    Column("slice_urn", ForeignKey("registered_slice.urn", ondelete="CASCADE"), primary_key=True, index=True),
    Column("aggregate_urn", String(255), nullable=False),
    Column("creator_urn", String(255), nullable=False, index=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
)

trust_root = Table(
    "trust_root",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("gid", Text, nullable=False),
    Column("names", JSON, nullable=False),  # list of authority strings this root may vouch for
    Column("legacy_sha1", Boolean, nullable=False, default=False),
    Column("added_at", UtcTime, nullable=False),
    Column("added_by", String(255), nullable=False),
)

# What was signed and what was taken back. Serial numbers are wider than any integer of a database: decimal digits.

issued_certificate = Table(
    "issued_certificate",
    metadata,
    Column("serial", String(50), primary_key=True),
    Column("urn", String(255), nullable=False, index=True),  # folded
    Column("ends_at", UtcTime, nullable=False, index=True),
)

revoked_certificate = Table(
    "revoked_certificate",
    metadata,
    Column("serial", String(50), primary_key=True),
    Column("urn", String(255), nullable=False, index=True),  # folded
    Column("ends_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime, nullable=False),
)

# The newest list of each authority that is trusted, our own among them.
revocation_list = Table(
    "revocation_list",
    metadata,
    Column("issuer_fingerprint", String(64), primary_key=True),
    Column("pem", Text, nullable=False),
    Column("digest", String(64), nullable=False),  # SHA-256 of the text
    Column("next_update", UtcTime),  # as the list says, if it does
    Column("source", Text, nullable=False),  # a file, a URL, or nothing for our own
    Column("fetched_at", UtcTime, nullable=False),
    Column("tried_at", UtcTime, nullable=False),  # later than fetched_at when fetching it again has failed
    Column("fault", Text, nullable=False, default=""),  # why it has
)

# What is promised at this aggregate.

slice_ = Table(
    "slice",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("urn", String(255), nullable=False),
    Column("urn_key", String(255), nullable=False, unique=True),  # folded: slice names compare without case
    Column("shut_down_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    # Elements of the requests that belong to no node and no link, as XML, for the manifest.
    Column("extensions", JSON, nullable=False, default=list, server_default="[]"),
)

sliver = Table(
    "sliver",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("slice_id", ForeignKey("slice.id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),  # order within the slice, as requested
    Column("kind", String(8), nullable=False),
    Column("client_id", String(255), nullable=False),
    Column("source", Text, nullable=False),  # the element of the request, as sent
    Column("backend", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("owner", String(255), nullable=False, default="", server_default=""),  # URN of who asked for it, folded
    Column("allocation", String(24), nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
    Column("update_ends_at", UtcTime, index=True),  # a pending update is given up then; null when there is none
    Column("created_at", UtcTime, nullable=False),
    # desired
    Column("generation", Integer, nullable=False),
    Column("shape", JSON, nullable=False),  # Machine or Segment of the backend protocol
    Column("users", JSON, nullable=False, default=list),  # [{"urn", "login", "keys"}], as given at Provision
    Column("running", Boolean, nullable=False, default=True),
    Column("restarts", Integer, nullable=False, default=0),
    Column("reloads", Integer, nullable=False, default=0),
    # observed
    Column("seen", String(8), nullable=False, default="absent"),
    Column("seen_generation", Integer, nullable=False, default=0),
    Column("seen_at", UtcTime),
    Column("fault", Text, nullable=False, default=""),
    Column("logins", JSON, nullable=False, default=list),
    Column("published", JSON, nullable=False, default=list, server_default="[]"),
    CheckConstraint("kind IN ('node', 'link')", name="kind"),
    CheckConstraint(
        "allocation IN ('geni_unallocated', 'geni_allocated', 'geni_provisioned', 'geni_updating')", name="allocation"
    ),
)

# The numbers by which links are told apart where one wire carries several.
network = Table(
    "network",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sliver_id", ForeignKey("sliver.id", ondelete="CASCADE"), nullable=False, unique=True),
)

# What there is, and who holds it. `used` only grows by the conditional UPDATE in `offers.claim`: no core is sold twice.
# There is no CHECK (used <= total): a host that comes back smaller must be able to say so.

offer = Table(
    "offer",
    metadata,
    Column("backend", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("description", JSON, nullable=False),  # the protocol's Offer without its capacity
    Column("state", String(12), nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("wanted", String(12), nullable=False, default="up", server_default="up"),  # by the operator
    CheckConstraint("state IN ('up', 'away')", name="state"),
    CheckConstraint("wanted IN ('up', 'draining', 'maintenance', 'removed')", name="wanted"),
)

capacity = Table(
    "capacity",
    metadata,
    Column("backend", String(16), primary_key=True),
    Column("offer", String(64), primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("total", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False, default=0),
    CheckConstraint("used >= 0", name="used_not_negative"),
)

claim = Table(
    "claim",
    metadata,
    Column("sliver_id", ForeignKey("sliver.id", ondelete="CASCADE"), primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("backend", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# The hosts of a backend that has several: who may speak for which on the bus, and who is asked to join.

node_manager = Table(
    "node_manager",
    metadata,
    Column("backend", String(16), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("nkey", String(56), nullable=False, unique=True),
    Column("certificate_fingerprint", String(64), nullable=False),
    Column("joined_at", UtcTime, nullable=False),
)

node_invitation = Table(
    "node_invitation",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the secret, which is kept nowhere
    Column("backend", String(16), nullable=False),
    Column("name", String(40), nullable=False),
    Column("replaces", Boolean, nullable=False),  # whether a host of this name may be there already
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False, index=True),
    Column("used_by", String(56)),  # the nkey that joined with it
)

# Images that researchers make from their slivers, wished and seen. They outlive the slivers, and are held at one offer.

own_image = Table(
    "own_image",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),  # user//name, as in its URN
    Column("creator", String(255), nullable=False, index=True),  # URN, folded
    Column("sliver_id", String(32), nullable=False),  # it was made from this one, which may be gone
    Column("backend", String(16), nullable=False),
    Column("offer", String(64), nullable=False),
    Column("form", String(12), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("state", String(8), nullable=False),
    Column("fault", Text, nullable=False, default=""),
    Column("size", BigInteger, nullable=False, default=0),
    Column("sha256", String(64), nullable=False, default=""),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("state IN ('making', 'ready', 'failed', 'dropping')", name="state"),
)

# What is to be done, and what was.

operation = Table(
    "operation",
    metadata,
    Column("sliver_id", ForeignKey("sliver.id", ondelete="CASCADE"), primary_key=True),
    Column("backend", String(16), nullable=False),
    Column("kind", String(8), nullable=False),  # the backend's limit it counts against
    Column("fence", Integer, nullable=False, default=0),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcTime),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", UtcTime, nullable=False),
    Column("asked_at", UtcTime, nullable=False),  # of the newest wish
    CheckConstraint("kind IN ('converge', 'remove')", name="kind"),
)
Index("ix_operation_due", operation.c.backend, operation.c.kind, operation.c.not_before)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("slice_urn", String(255), index=True),
    Column("sliver_id", String(32)),
    Column("actor", String(255), nullable=False),  # user URN, or the name of the loop of ours that acted
    Column("spoken_by", String(255)),
    Column("request_id", String(36)),
    Column("what", String(32), nullable=False),
    Column("detail", Text, nullable=False, default=""),
)
