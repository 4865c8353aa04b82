"""What all tests share: where things are, what a test needs of the machine, a federation small enough to hold in hand.

A test that needs what this machine lacks is skipped with a sentence. With CI set in the environment the tests that
stand for the product's main job fail instead: there they must not be skipped (see `needs`).
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pytest

from credentials import GID, URN, Issuer, Root, Trust, Verifier, self_signed_root
from credentials.keys import PrivateKey, new_rsa_key
from sfa_am import logs
from sfa_am.config import Log

REPOSITORY = Path(__file__).resolve().parent.parent
IN_MEMORY = Path("/dev/shm")
LONG = (
    "system/test_virtual_machines",
    "system/test_native_backend",
    "unit/am/test_model",
    "system/test_main_line",
    "unit/am/test_conformance",
    "system/test_cluster",
    "system/test_chaos",
    "system/",
    "clients/",
)
"""Modules that take long come first, or all would wait for the last one; those that compute among those that wait."""

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    logs.configure(Log(level="warning"))
    _keep_files_in_memory()
    config.addinivalue_line("markers", "alone: it takes the whole machine; make test runs it after the others")
    config.addinivalue_line("markers", "needs(*what): 'root', 'lxc', or the name of a program")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # several processes, to which modules are dealt out in this order
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(REPOSITORY / "tests").as_posix()
    return next((turn for turn, name in enumerate(LONG) if path.startswith(name)), len(LONG))


def _keep_files_in_memory() -> None:
    """Where `tmp_path` is: hundreds of tests have a store there, and each waits for the disk at every transaction."""
    if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 2**30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := lacking_for(item):
        if os.environ.get("CI"):
            pytest.fail(f"must not be skipped here: {reason}")
        pytest.skip(reason)


def lacking_for(item: pytest.Item) -> str:
    """What this machine has not that a test needs, in a sentence; empty if it has all."""
    needed = (what for marker in item.iter_markers("needs") for what in marker.args)
    return next(filter(None, map(_lacking, needed)), "")


def _lacking(what: str) -> str:
    if what == "root":
        return "" if os.geteuid() == 0 else "needs root"
    if what == "lxc":
        missing = [program for program in ("lxc-start", "nft", "mmdebstrap") if shutil.which(program) is None]
        return f"needs {', '.join(missing)} (make setup installs them)" if missing else ""
    return "" if shutil.which(what) else f"needs the program {what} (make setup-dev installs it)"


@pytest.fixture(scope="session")
def repo_root() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Schemas and samples that are not part of this repository."""
    folder = REPOSITORY.parent / "shared" / "reference"
    if not folder.is_dir():
        pytest.skip("needs the folder ../shared/reference with the published schemas and samples")
    return folder


@dataclass
class Person:
    """Somebody with a key and a certificate."""

    gid: GID
    key: PrivateKey

    @property
    def urn(self) -> URN:
        assert self.gid.urn is not None
        return self.gid.urn

    @property
    def issuer(self) -> Issuer:
        return Issuer(self.gid, self.key)


class Federation:
    """An authority "plc" with users and a slice; keys are made once, since that is what takes time."""

    def __init__(self, name: str = "plc", *, keys: Callable[[], PrivateKey] = new_rsa_key) -> None:
        self.name = name
        self.keys = keys
        self.root_key = keys()
        urn = URN(name, "authority", "sa")
        self.root = self_signed_root(urn, self.root_key, lifetime=timedelta(days=3650), now=NOW)
        self.issuer = Issuer(self.root, self.root_key)

    def person(self, name: str, *, lifetime: timedelta = timedelta(days=365)) -> Person:
        key = self.keys()
        gid = self.issuer.issue_gid(
            URN(self.name, "user", name), key.public_key(), lifetime=lifetime, now=NOW, email=f"{name}@example.org"
        )
        return Person(gid, key)

    @cached_property
    def alice(self) -> Person:
        return self.person("alice")

    @cached_property
    def bob(self) -> Person:
        return self.person("bob")

    def slice_gid(self, name: str = "s1") -> GID:
        return self.issuer.issue_gid(
            URN(self.name, "slice", name), self.root_key.public_key(), lifetime=timedelta(days=365), now=NOW
        )

    def credential(
        self,
        owner: Person | None = None,
        target: GID | None = None,
        privileges: dict[str, bool] | None = None,
        *,
        ends_at: datetime = NOW + timedelta(days=1),
        by: Issuer | None = None,
    ) -> str:
        return (
            (by or self.issuer)
            .issue_credential(
                owner=(owner or self.alice).gid,
                target=target or self.slice_gid(),
                privileges={"*": True} if privileges is None else privileges,
                expires_at=ends_at,
            )
            .decode()
        )

    def trust(self, **changes: object) -> Trust:
        return Trust([Root(self.root, (self.name,), **changes)])  # type: ignore[arg-type]

    def verifier(self) -> Verifier:
        return Verifier(self.trust())


@pytest.fixture(scope="session")
def plc() -> Federation:
    return Federation()


@pytest.fixture
def spare_keys(plc: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what founds an installation: making RSA keys is what takes time there, and these are as good as new ones."""
    spare = iter([plc.root_key, plc.alice.key, plc.bob.key])
    monkeypatch.setattr("sfa_am.authority.founding.new_rsa_key", lambda: next(spare))
    monkeypatch.setattr("sfa_am.authority.keys.new_rsa_key", lambda: next(spare))


@pytest.fixture(scope="session")
def stranger() -> Federation:
    """An authority that nobody trusts."""
    return Federation("elsewhere")
