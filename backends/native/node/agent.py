"""A node manager's side of the bus: it answers requests, says every second that it is alive, and tells what it sees."""

import contextlib
import hashlib
import threading
import uuid
from collections.abc import Callable

import structlog

from backends.native import messages
from backends.native.bus import Bus, NobodyAnswers
from backends.native.images.travelling import Cargo, Part, PartWish
from backends.native.messages import Answer, Beat, ImageNamed, Order, Removal, Wiring
from backends.native.node.manager import NodeManager
from backends.own_images import ImageWish
from backends.protocol import BackendError, Observation, SliverId, Unavailable

log = structlog.get_logger()

_HEAL_EVERY = 10.0
"""Seconds between looks whether everything runs that should; whoever sent a wish mostly notices before."""


class Agent:
    """Serves one node manager on a bus."""

    def __init__(self, manager: NodeManager, bus: Bus, prefix: str) -> None:
        """prefix: how the subjects of this installation begin."""
        self._manager = manager
        self._bus = bus
        self._prefix = prefix
        self._boot = uuid.uuid4().hex
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._verbs: dict[str, Callable[[bytes], object]] = {
            "converge": self._converge,
            "remove": self._remove,
            "wire": self._wire,
            "unwire": self._unwire,
            "observe": lambda _: self._manager.observe(),
            "inventory": lambda _: self._manager.inventory(),
            "make-image": lambda body: self._manager.make_image(messages.read(ImageWish, body)),
            "drop-image": self._drop_image,
            "edition-of": lambda body: self._manager.edition_of(messages.read(ImageNamed, body)),
            "cargo": lambda body: self._manager.dispatch.cargo(messages.read(str, body)),
            "image-part": lambda body: self._manager.dispatch.part(messages.read(PartWish, body)),
            "expect-image": lambda body: self._manager.arrivals.expect(messages.read(Cargo, body)),
            "put-image-part": lambda body: self._manager.arrivals.put(messages.read(Part, body)),
            "console": lambda body: self._manager.console(SliverId(messages.read(str, body))),
        }

    def start(self) -> None:
        """Adopt what runs on this host, then answer. Raises Unavailable when this host can't do what is asked of it."""
        self._stopping.clear()
        self._manager.start(self._saw)
        self._bus.serve(f"{self._prefix}.node.{self._manager.name}.*", self._answer)
        self._beat()  # heard within the call where the controller is in this process
        for work, every in ((self._beat, messages.BEAT_EVERY), (self._manager.heal, _HEAL_EVERY)):
            thread = threading.Thread(target=self._again, args=(work, every), name=work.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Answer no more; slivers keep running."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._manager.stop()

    def _again(self, work: Callable[[], None], every: float) -> None:
        while not self._stopping.is_set():
            try:
                work()
            except BackendError as e:
                log.warning("will try again", work=work.__name__, reason=str(e))
            except Exception:  # a full disk, a damaged record: the next turn comes
                log.exception("a turn failed", work=work.__name__)
            self._stopping.wait(every)

    def _beat(self) -> None:
        inventory = hashlib.sha256(messages.write(self._manager.inventory())).hexdigest()[:16]
        beat = Beat(boot=self._boot, inventory=inventory)
        self._publish("beat", beat)

    def _saw(self, observation: Observation) -> None:
        self._publish("seen", observation)

    def _publish(self, kind: str, message: object) -> None:
        with contextlib.suppress(NobodyAnswers):  # a bus that is away: the next beat or sweep says the same
            self._bus.publish(f"{self._prefix}.{kind}.{self._manager.name}", messages.write(message))

    def _answer(self, subject: str, body: bytes) -> bytes:
        verb = subject.rpartition(".")[2]
        try:
            if self._stopping.is_set() or verb not in self._verbs:
                raise Unavailable("nothing answers there now; it will be tried again")
            answer = Answer(body=messages.write(self._verbs[verb](body)).decode())
        except BackendError as e:
            log.warning("refused", verb=verb, reason=str(e), notes=getattr(e, "__notes__", []))
            answer = messages.refusal(e)
        except Exception:  # whatever it was, the one who asks gets an answer, with a number to look for here
            number = uuid.uuid4().hex[:12]
            log.exception("a request failed", verb=verb, fault=number)
            answer = messages.refusal(BackendError(f"internal error {number}: please report it to the operator"))
        return messages.write(answer)

    def _converge(self, body: bytes) -> object:
        order = messages.read(Order, body)
        return self._manager.converge(order.spec, order.edition)

    def _remove(self, body: bytes) -> object:
        removal = messages.read(Removal, body)
        self._manager.remove(removal.sliver, removal.generation)
        return True

    def _wire(self, body: bytes) -> object:
        self._manager.wire(messages.read(Wiring, body))
        return True

    def _drop_image(self, body: bytes) -> object:
        self._manager.drop_image(messages.read(str, body))
        return True

    def _unwire(self, body: bytes) -> object:
        self._manager.unwire(SliverId(messages.read(str, body)))
        return True
