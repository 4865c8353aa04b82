"""Where running machines have their mounts and settings: in /run, since they end with the boot, and since the roots of
machines, who own nothing outside, must be able to walk there, which they can't into a private state folder."""

from pathlib import Path

from backends.native.names import Names

_RUN = Path("/run/sfa-am")


class Runtime:
    """The folder of one backend below /run."""

    def __init__(self, names: Names) -> None:
        self.folder = _RUN / names.tag

    @property
    def servers(self) -> Path:
        """Where links' servers have their tables: beside the machines' folders."""
        return self.folder.with_name(f"{self.folder.name}-links")

    def prepare(self) -> None:
        """Make it."""
        for folder in (_RUN, self.folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)

    def open(self, container: str) -> Path:
        """A machine's own folder, made if it is missing."""
        own = self.folder / container
        own.mkdir(exist_ok=True)
        own.chmod(0o711)
        return own

    def close(self, container: str) -> None:
        """Delete a machine's folder. Raises OSError while something is mounted there: it never deletes a tree."""
        own = self.folder / container
        if own.is_dir():
            for entry in own.iterdir():
                if entry.is_dir():
                    entry.rmdir()
                else:
                    entry.unlink()
            own.rmdir()
