"""One invocation of `sfi`: what was said before the command, and the folder opened when a command needs it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from sfi_tool.errors import Unreadable
from sfi_tool.folder import CONFIG, Folder
from sfi_tool.identity import Session
from sfi_tool.servers import TIMEOUT, Watcher
from sfi_tool.sfi_config import NAME as SFI_CONFIG

F = TypeVar("F", bound=Callable[..., Any])

_ENOUGH = {"user", "registry", "aggregate"}
"""What has to be said on the command line to do without a settings file."""


@dataclass
class Invocation:
    """The global options.

    overrides: values of user, auth, registry, aggregate that count in place of the folder's
    key:       a private key to be put into the folder if it has none
    agreed:    fingerprints of roots that may be trusted without asking
    """

    path: Path
    overrides: dict[str, str] = field(default_factory=dict)
    key: Path | None = None
    timeout: float = TIMEOUT
    watcher: Watcher | None = None
    agreed: tuple[str, ...] = ()
    _session: Session | None = None

    @property
    def has_folder(self) -> bool:
        """Whether there are settings at all."""
        path = self.path.expanduser()
        return any((path / name).is_file() for name in (CONFIG, SFI_CONFIG)) or self.overrides.keys() >= _ENOUGH

    @property
    def folder(self) -> Folder:
        """The folder. Raises Unreadable."""
        return self.session.folder

    @property
    def session(self) -> Session:
        """The folder with its servers, opened once. Raises Unreadable."""
        if self._session is None:
            folder = Folder.open(self.path, self.overrides)
            if self.key is not None:
                _install(self.key, folder)
            self._session = Session(folder, timeout=self.timeout, watcher=self.watcher, agreed=self.agreed)
        return self._session


pass_invocation = click.make_pass_decorator(Invocation)


def pass_session(command: F) -> F:
    """Give a command the opened folder as its first argument."""

    @pass_invocation
    def with_session(invocation: Invocation, /, *arguments: Any, **options: Any) -> Any:
        return command(invocation.session, *arguments, **options)

    return cast(F, functools.update_wrapper(with_session, command))


def _install(key: Path, folder: Folder) -> None:
    """Put a private key where the folder wants it. Raises Unreadable: no key, or another one is there already."""
    try:
        content = _as_pem(key.expanduser().read_bytes(), key)
        if not folder.key.is_file():
            from credentials.keys import write_private

            folder.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(folder.key, content)
        elif folder.key.read_bytes().strip() != content.strip():
            raise Unreadable(f"{folder.key} is there already and is another key than {key}; move it away first")
    except OSError as e:
        raise Unreadable(f"{e.filename} can't be read or written: {e.strerror}") from e


def _as_pem(content: bytes, key: Path) -> bytes:
    """A private key as TLS reads it: OpenSSH has a form of its own. Raises Unreadable."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    from credentials import BadKey
    from credentials.keys import private_pem, read_private_key

    try:
        if b"BEGIN OPENSSH PRIVATE KEY" not in content:
            read_private_key(content)
            return content
        read = load_ssh_private_key(content, password=None)
        if isinstance(read, RSAPrivateKey | EllipticCurvePrivateKey):
            return private_pem(read)
        raise BadKey("neither RSA nor EC")
    except (BadKey, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise Unreadable(
            f"{key} is no private key that can be read: an RSA or EC key without a passphrase is expected"
        ) from e
