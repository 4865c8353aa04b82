"""Disk images of a host: how they are built from Debian's packages, where they are, which can be asked for."""

from backends.native.images.folder import DEBIAN_12, DiskFiles, ImageFolder

__all__ = ["DEBIAN_12", "DiskFiles", "ImageFolder"]
