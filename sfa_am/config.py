"""Settings: one TOML file plus the environment, read once into frozen values.

Every key's docstring is its entry in the settings reference and the comment in the file that ``sfa-am init`` writes.
Environment variables override the file: ``SFA_AM_SERVER__AM_PORT=8443`` sets ``am_port`` of ``[server]``.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

CONFIG_NAME = "sfa-am.toml"
ENVIRONMENT_PREFIX = "SFA_AM_"

TcpPort = Annotated[int, Field(ge=1, le=65535)]


class ConfigError(Exception):
    """The settings can't be used; the sentence names the key, what is wrong and what would be right."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Aggregate(_Section):
    """Who this aggregate is."""

    authority: str = "example"
    """Name of the top authority of this installation, as it appears in URNs: letters, digits, dots and hyphens; `:`
    separates sub-authorities. Fixed by `sfa-am init`; changing it later makes every certificate wrong."""
    title: str = "SFA aggregate"
    """One line shown to people by GetVersion and in web pages."""

    @field_validator("authority")
    @classmethod
    def _authority_is_a_name(cls, authority: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[A-Za-z0-9][A-Za-z0-9.-]*)*", authority):
            raise ValueError(
                "letters, digits, dots and hyphens, with : between sub-authorities, for example example.org:lab"
            )
        return authority


class Server(_Section):
    """Where clients reach us."""

    doors: Annotated[tuple[Literal["aggregate", "authority"], ...], Field(min_length=1)] = ("aggregate", "authority")
    """What is served: the AM API with its backends, the registry with the clearinghouse, or both. An aggregate without
    an authority beside it trusts those of others: `sfa-am trust`."""
    listen: IPv4Address | IPv6Address = IPv4Address("127.0.0.1")
    """Address to listen on; 0.0.0.0 or :: for all."""
    am_port: TcpPort = 12346
    """TCP port of the aggregate manager API."""
    registry_port: TcpPort = 12345
    """TCP port of the SFA registry and slice authority."""
    public_host: str = "localhost"
    """Host name or address that clients use to reach us: in URLs and in the server's certificate."""
    request_limit_kib: Annotated[int, Field(ge=64)] = 20480
    """Largest request body accepted, in KiB. 10,000 requested nodes with ten credentials stay below 10 MiB."""
    headers_seconds: Annotated[int, Field(ge=1)] = 20
    """A request's headers have so many seconds to arrive, the first one's together with the TLS handshake."""
    body_seconds: Annotated[int, Field(ge=1)] = 300
    """A request's body has so many seconds to arrive."""
    idle_seconds: Annotated[int, Field(ge=1)] = 120
    """A kept-alive connection is closed after so many idle seconds."""
    connections_per_peer: Annotated[int, Field(ge=1)] = 128
    """Connections that one client address (or one /64 network of IPv6) may hold; further ones are closed at once."""
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Calls worked on at once; each call takes one thread for some milliseconds."""


class Leases(_Section):
    """How long things live."""

    allocated_minutes: Annotated[int, Field(ge=1)] = 10
    """An allocated sliver that is not provisioned lives so many minutes."""
    allocated_longest_minutes: Annotated[int, Field(ge=1)] = 120
    """Renewing an allocated sliver reaches at most so many minutes ahead."""
    default_days: Annotated[float, Field(gt=0)] = 7
    """A provisioned sliver lives so many days when the researcher asks for no time."""
    longest_days: Annotated[float, Field(gt=0)] = 60
    """No sliver's end lies further ahead than so many days; renewing again is possible."""

    @property
    def allocated_for(self) -> timedelta:
        """Lease of an allocated sliver."""
        return timedelta(minutes=self.allocated_minutes)

    @property
    def allocated_longest_for(self) -> timedelta:
        """The furthest the lease of an allocated sliver may reach from now."""
        return timedelta(minutes=self.allocated_longest_minutes)

    @property
    def default_for(self) -> timedelta:
        """Lease of a provisioned sliver when none is asked for."""
        return timedelta(days=self.default_days)

    @property
    def longest_for(self) -> timedelta:
        """The furthest a lease may reach from now."""
        return timedelta(days=self.longest_days)


class Limits(_Section):
    """What one slice may hold."""

    slivers_per_slice: Annotated[int, Field(ge=1)] = 1000
    """Nodes and links together that one slice may hold at this aggregate."""
    images_per_user: Annotated[int, Field(ge=0)] = 10
    """Images made from slivers that one user may hold at this aggregate; 0 for none."""
    image_mib: Annotated[int, Field(ge=1)] = 20480
    """MiB of files that a sliver may have for an image to be made from it."""


class Placement(_Section):
    """Which of the hosts that have room a machine is put on."""

    order: Literal["spread", "pack"] = "spread"
    """`spread` takes the one with most free memory, so that all are used alike; `pack` the one with least that is
    enough, so that large pieces stay free and empty hosts empty."""


class Quota(_Section):
    """A rule of the policy: so much for everyone it is about. Several rules may apply; all of them must allow it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    """Its name, as told to researchers whom it refuses something."""
    per: Literal["user", "slice", "project", "authority"]
    """Who is counted together: what one user asked for, one slice, all slices of one project (an authority's own, such
    as `plc:princeton`), or all slices of one top authority and of all below it."""
    match: str = "*"
    """Whom the rule is about, with `*` and `?` as in file names: URNs of users or slices, names of authorities."""
    nodes: Annotated[int, Field(ge=0)] | None = None
    """Machines at most."""
    cpus: Annotated[float, Field(ge=0)] | None = None
    """Cores at most."""
    memory_mib: Annotated[int, Field(ge=0)] | None = None
    """MiB of memory at most."""
    disk_mib: Annotated[int, Field(ge=0)] | None = None
    """MiB of disk at most."""
    lease_days: Annotated[float, Field(gt=0)] | None = None
    """A lease reaches at most so many days from now."""
    sliver_types: tuple[str, ...] | None = None
    """The only sliver types allowed."""


class Policy(_Section):
    """A rule in Python, where a quota can't say it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    """Its name, as told to researchers whom it refuses something."""
    plugin: str
    """Name of the entry point (group `sfa_am.policies`)."""
    settings: dict[str, Any] = {}
    """Settings of the plugin; see its documentation."""


class Registry(_Section):
    """How the authority in this installation hands out certificates and credentials."""

    user_days: Annotated[int, Field(ge=1)] = 365
    """Lifetime of a user's certificate, in days."""
    slice_days: Annotated[int, Field(ge=1)] = 14
    """Lifetime of a new slice, in days; `sfi slice renew` extends it."""
    credential_hours: Annotated[int, Field(ge=1)] = 24 * 14
    """Lifetime of a credential, in hours; never past the slice's end."""


class Trust(_Section):
    """How we keep up with the authorities that are trusted here."""

    crl_minutes: Annotated[float, Field(gt=0)] = 60
    """Revocation lists that have a URL are fetched again after so many minutes, sooner where they last shortly: so long
    may somebody who was revoked elsewhere still be accepted here."""


class Log(_Section):
    """What is written about the work, to standard error."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for one JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level written."""


class Backend(_Section):
    """One backend: what really makes slivers. Several of one plugin are allowed."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,15}$")]
    """Its name in this installation, unique; kept for ever, since stored slivers refer to it."""
    plugin: str
    """Name of the entry point (group `sfa_am.backends`): `native`, `simulated` or one of another package."""
    settings: dict[str, Any] = {}
    """Settings of the plugin; see its reference."""


class Config(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
    )

    aggregate: Aggregate = Aggregate()
    server: Server = Server()
    leases: Leases = Leases()
    limits: Limits = Limits()
    placement: Placement = Placement()
    registry: Registry = Registry()
    trust: Trust = Trust()
    log: Log = Log()
    quota: tuple[Quota, ...] = ()
    policy: tuple[Policy, ...] = ()
    backend: tuple[Backend, ...] = (Backend(name="local", plugin="native"),)

    @field_validator("backend")
    @classmethod
    def _names_are_unique(cls, backends: tuple[Backend, ...]) -> tuple[Backend, ...]:
        names = [backend.name for backend in backends]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two backends are named {', '.join(sorted(twice))}")
        return backends


SECTIONS: tuple[type[_Section], ...] = (
    Aggregate,
    Server,
    Leases,
    Limits,
    Placement,
    Registry,
    Trust,
    Log,
    Quota,
    Policy,
    Backend,
)

_REPEATED = (Quota, Policy, Backend)
"""Sections of which there may be several, or none."""

_EXAMPLES = {
    Quota: (
        "[[quota]]",
        'name = "students"',
        'per = "user"',
        'match = "*+user+student*"',
        "nodes = 4",
        "lease_days = 2",
    ),
    Policy: ("[[policy]]", 'name = "office hours"', 'plugin = "office-hours"', "settings = {}"),
}
"""Stand in a new file where there is none of them yet."""


def load(path: Path) -> Config:
    """Read the settings file and the environment. Raises ConfigError; a missing file is an error too."""
    if not path.is_file():
        raise ConfigError(f"{path}: no settings file here; `sfa-am --state {path.parent} init` makes one")

    class _FromFile(Config):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    try:
        return _FromFile()
    except ValidationError as e:
        raise _refusal(f"{path}: ", e) from e
    except ValueError as e:  # not TOML; the parser's sentence has line and column
        raise ConfigError(f"{path}: {e}") from e


def from_values(values: Mapping[str, Any]) -> Config:
    """Settings from nested values, without a file. Raises ConfigError."""
    try:
        return Config.model_validate(values)
    except ValidationError as e:
        raise _refusal("", e) from e


NATIVE = "native"
"""The plugin whose backends may have several hosts, reached over a bus."""


def on_bus(config: Config, bus: str) -> Config:
    """The same settings with another bus for all backends that can be on one."""
    backends = tuple(
        one.model_copy(update={"settings": {**one.settings, "bus": bus}}) if one.plugin == NATIVE else one
        for one in config.backend
    )
    return config.model_copy(update={"backend": backends})


def _refusal(where: str, e: ValidationError) -> ConfigError:
    return ConfigError("\n".join(where + _explain(error) for error in e.errors()))


def _explain(error: Any) -> str:
    """One validation error as a sentence; for an unknown key, the nearest known one."""
    location = [str(part) for part in error["loc"]]
    key = ".".join(location)
    if error["type"] != "extra_forbidden":
        return f"{key}: {error['msg']}"
    known = _keys_beside(location)
    near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"{key}: no such setting; {hint}"


def _keys_beside(location: list[str]) -> list[str]:
    if len(location) == 1:
        return list(Config.model_fields)
    section = next((s for s in SECTIONS if s.__name__.lower() == location[0]), None)
    return list(section.model_fields) if section else []


def commented_toml(config: Config) -> str:
    """The settings as a TOML file in which every key is explained; `load` reads it back to the same settings."""
    parts = [
        "# Settings of this SFA/GENI aggregate. Environment variables override them:",
        "#   SFA_AM_SERVER__AM_PORT=8443 sets am_port of [server].",
    ]
    for section in SECTIONS:
        name = section.__name__.lower()
        if section in _REPEATED:
            for one in getattr(config, name):
                parts.append(f"\n# {section.__doc__}\n[[{name}]]")
                parts.extend(_entries(one))
            if not getattr(config, name):
                parts.append(f"\n# {section.__doc__} None yet; one is written so:")
                parts.extend(f"# {line}" for line in _EXAMPLES[section])
        else:
            parts.append(f"\n# {section.__doc__}\n[{name}]")
            parts.extend(_entries(getattr(config, name)))
    return "\n".join(parts) + "\n"


def _entries(section: _Section) -> list[str]:
    lines: list[str] = []
    for key, field in type(section).model_fields.items():
        lines.extend(f"# {line.strip()}" for line in (field.description or "").splitlines())
        value = getattr(section, key)
        lines.append(f"# {key} is not set" if value is None else f"{key} = {_toml(value)}")
    return lines


def _toml(value: object) -> str:
    """A value in TOML's syntax. JSON's strings, numbers, booleans and arrays are TOML's as well; tables are not."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value))


def set_value(values: dict[str, Any], change: str) -> None:
    """Put a change such as ``server.am_port=8443`` into nested values; the value as in TOML. Raises ValueError.

    ``backend.KEY=VALUE`` changes the settings of the only backend, or of the first one.
    """
    key, equals, written = change.partition("=")
    section, dot, name = key.strip().partition(".")
    if not equals or not dot:
        raise ValueError(f"{change!r}: SECTION.KEY=VALUE is expected")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written.strip()
    if section == "backend":
        backends = values.setdefault("backend", [{"name": "local", "plugin": "native", "settings": {}}])
        backends[0]["settings"][name] = value
    else:
        values.setdefault(section, {})[name] = value
