"""Disk images of a host: built from Debian's packages or imported, where they are, which can be asked for, who needs
them."""

from backends.native.images.folder import DEBIAN_12, DiskFiles, ImageFolder
from backends.native.images.holding import Holder

__all__ = ["DEBIAN_12", "DiskFiles", "Holder", "ImageFolder"]
