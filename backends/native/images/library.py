"""Implements `ImageLibrary` over an image folder: what the commands do with it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from backends.image_library import Edition, ImageLibrary, ImageRefused, Source
from backends.native.images import records
from backends.native.images.folder import DEBIAN_12, ImageFolder
from backends.native.settings import BackendSettings, NodeSettings, read
from backends.protocol import Context, Form


class FolderLibrary:
    """The images of one host."""

    def __init__(self, settings: NodeSettings, state: Path) -> None:
        """state: of its node."""
        self._images = ImageFolder(settings.image_folder or state / "images")
        self._forms = (Form.CONTAINER, Form.VM) if settings.virtual_machines else (Form.CONTAINER,)

    def build(self, forms: Sequence[Form]) -> Sequence[Edition]:
        """See `ImageLibrary`."""
        return [self._edition(self._images.build(DEBIAN_12.name, form)) for form in forms or self._forms]

    def editions(self) -> Sequence[Edition]:
        """See `ImageLibrary`. Those that another release has built, and did not write down, are left out."""
        homes = {self._images.path / edition for edition, *_ in records.everything(self._images.path)}
        homes |= {
            self._images.home(self._images.edition(DEBIAN_12.name, form))
            for form in Form
            if self._images.is_ready(DEBIAN_12.name, form)
        }
        return sorted(map(self._edition, homes), key=lambda one: (one.made_at, one.edition), reverse=True)

    def take(self, source: Source) -> Edition:
        """See `ImageLibrary`."""
        made = self._edition(self._images.take(source))
        self._images.collect()
        return made

    def delete(self, name: str) -> Sequence[Edition]:
        """See `ImageLibrary`."""
        self._images.withdraw(name)
        self._images.collect()
        return [one for one in self.editions() if one.name == name]

    def _edition(self, home: Path) -> Edition:
        found = records.of(home)
        if found is None:  # built before records were written
            name, form, _ = home.name.rsplit("-", 2)
            made_at = datetime.fromtimestamp(home.stat().st_mtime, UTC)
            return Edition(edition=home.name, name=name, form=Form(form), made_at=made_at, is_offered=True)
        record, _ = found
        return Edition(
            edition=home.name,
            name=record.name,
            form=record.form,
            os=record.os,
            version=record.version,
            description=record.description,
            source=record.source,
            sha256=record.sha256,
            size=record.size,
            made_at=record.made_at,
            is_offered=self._images.is_offered(home.name),
        )


def open_library(settings: Mapping[str, object], context: Context) -> ImageLibrary:
    """The entry point. Raises ValueError for wrong settings, ImageRefused when the images are on other hosts."""
    wanted = read(settings, BackendSettings)
    if wanted.bus:
        raise ImageRefused(
            f"the images of backend {context.name!r} are on its hosts: run `sfa-node image` on those that need one"
        )
    return FolderLibrary(wanted, context.state)
