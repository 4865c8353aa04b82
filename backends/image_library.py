"""What an operator does with the images of a host: the contract between the commands and a backend's plugin.

Plugins that keep images of their own on a host are found by entry point (group ``sfa_am.images``, under the name of the
backend's plugin): a callable ``open_library(settings: Mapping[str, object], context: Context) -> ImageLibrary``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from backends.protocol import Form

ENTRY_POINTS = "sfa_am.images"
"""Entry point group in which libraries are found."""


class ImageRefused(Exception):
    """A file is no image that could be used here, or a name can't be given; the sentence is for the operator."""


class Format(StrEnum):
    """What an image comes as: a disk for virtual machines in one of two formats, or the files of a container."""

    QCOW2 = "qcow2"
    RAW = "raw"
    ROOTFS_TAR = "rootfs-tar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that shall become an image.

    name:     of the image; where there is one, this is a newer edition of it
    sha256:   of the file, hexadecimal; empty when it need not be a certain one
    """

    name: str
    file: Path
    format: Format
    os: str = ""
    version: str = ""
    description: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One state of an image in one form, as it is on a host. It never changes.

    edition:    its name, unique on the host
    source:     the file's name that it was imported from; empty for what is built here
    sha256:     of that file
    size:       octets that it takes here
    is_offered: whether new machines may begin from it; otherwise it is here for those that have
    """

    edition: str
    name: str
    form: Form
    os: str = ""
    version: str = ""
    description: str = ""
    source: str = ""
    sha256: str = ""
    size: int = 0
    made_at: datetime
    is_offered: bool


class ImageLibrary(Protocol):
    """The images of a host. What is changed here is seen by a backend that runs within moments."""

    def build(self, forms: Sequence[Form]) -> Sequence[Edition]:
        """Build what is missing of the built-in images in these forms, or in those that the settings want.

        Returns them. Raises Unavailable when that fails.
        """

    def editions(self) -> Sequence[Edition]:
        """All that is there, the newest first."""

    def take(self, source: Source) -> Edition:
        """Make an image of a file: whole, or not at all. Raises ImageRefused, Unavailable."""

    def delete(self, name: str) -> Sequence[Edition]:
        """Offer an image no more. Returns what stays until the last machine that began from it is gone.

        Raises ImageRefused: it is not there, or built in.
        """
