"""Which body a machine of this host has, by its form; and what all of one form have in common."""

import structlog

from backends.native.images import ImageFolder
from backends.native.journal import Journal, Record
from backends.native.names import Names
from backends.native.node import acceleration, domain
from backends.native.node.body import Body
from backends.native.node.contained import ContainedBody
from backends.native.node.domain import Domain, Hypervisor
from backends.native.node.idmap import IdRanges
from backends.native.node.virtual import VirtualBody
from backends.native.runtime import Runtime
from backends.native.settings import NodeSettings
from backends.protocol import Form, Machine, Unavailable

log = structlog.get_logger()


class Bodies:
    """Those of one node."""

    def __init__(
        self, settings: NodeSettings, names: Names, journal: Journal, runtime: Runtime, images: ImageFolder
    ) -> None:
        self._settings = settings
        self._names = names
        self._journal = journal
        self._runtime = runtime
        self._images = images
        self._ids = IdRanges(settings.first_id)
        self._hypervisor = Hypervisor()
        self._domain_kind = ""

    def prepare_for_vms(self) -> None:
        """Find out how virtual machines run here. Raises Unavailable when none do."""
        self._hypervisor.connection()
        self._domain_kind = acceleration.kind()
        if not self._domain_kind:
            raise Unavailable("this host runs no virtual machines: set `virtual_machines` to false, or see the log")
        log.info("virtual machines can be made", emulated=self._domain_kind != "kvm")

    def of(self, record: Record) -> Body:
        """A machine's. Raises Unavailable when its form is not made here."""
        sliver, shape = record.spec.sliver, record.spec.shape
        name, kept, runtime = self._names.container(sliver), self._journal.folder_of(sliver), self._runtime.folder
        if isinstance(shape, Machine) and shape.form is Form.VM:
            return VirtualBody(
                name,
                kept=kept,
                runtime=runtime,
                images=self._images,
                hypervisor=self._hypervisor,
                kind=self._domain_kind,
                nameservers=self._settings.nameservers,
            )
        return ContainedBody(
            name,
            kept=kept,
            runtime=runtime,
            images=self._images,
            ids=self._ids,
            slot=record.slot,
            processes=self._settings.processes,
            nameservers=self._settings.nameservers,
        )

    def remove_strays(self) -> None:
        """End virtual machines of ours that no record knows: their disk is gone, or about to be."""
        for name in domain.names_beginning(self._names.container_prefix):
            sliver = self._names.sliver(name)
            if sliver is not None and self._journal.get(sliver) is None:
                Domain(name, self._hypervisor).stop(gracefully=False)

    def close(self) -> None:
        """Let go of everything; machines stay."""
        self._ids.close()
        self._hypervisor.close()
