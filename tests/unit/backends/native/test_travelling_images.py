"""Images on their way between two image folders: what arrives, what is refused, and what goes on after a crash."""

import hashlib
import os
import subprocess
import time

import pytest

from backends.image_library import Format, Source
from backends.native.images import ImageFolder, records
from backends.native.images.records import ImageRecord
from backends.native.images.travelling import PART, Arrivals, Cargo, Dispatch, Part, PartWish, Piece, tidy
from backends.protocol import BackendError, Form, Impossible, Unavailable

pytestmark = pytest.mark.needs("qemu-img")

HUGE = 1 << 60


@pytest.fixture
def held(tmp_path):
    """A folder with a disk of some parts, of which most is not empty."""
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        for number in range(40):
            file.write(bytes([number + 1]) * (256 * 1024))
    folder = ImageFolder(tmp_path / "held")
    edition = folder.take(Source(name="mine", file=raw, format=Format.RAW, os="Own", version="7")).name
    return folder, edition


@pytest.fixture
def wanting(tmp_path):
    return ImageFolder(tmp_path / "wanting")


def packed(folder, edition) -> Cargo:
    dispatch = Dispatch(folder)
    return until(lambda: dispatch.cargo(edition))


def until(found, seconds: float = 30):
    deadline = time.monotonic() + seconds
    while not (one := found()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
    return one


def send(folder, cargo, arrivals, *, parts: int = HUGE) -> int:
    """Send what is missing, up to so many parts; returns how many were sent."""
    dispatch, sent = Dispatch(folder), 0
    sizes = arrivals.expect(cargo).sizes
    for piece in cargo.pieces:
        offset = sizes[piece.name]
        while offset < piece.size and sent < parts:
            part = dispatch.part(PartWish(edition=cargo.edition, piece=piece.name, offset=offset))
            offset, sent = arrivals.put(part), sent + 1
    return sent


def has_come(arrivals, cargo) -> bool:
    return arrivals.expect(cargo).is_here


def test_an_image_that_travelled_is_the_same_and_is_not_offered(held, wanting, tmp_path):
    folder, edition = held
    cargo, arrivals = packed(folder, edition), Arrivals(wanting)
    assert send(folder, cargo, arrivals) == -(-cargo.size // PART) > 1
    until(lambda: has_come(arrivals, cargo))
    contents = []
    for there in (folder, wanting):
        target = tmp_path / "content"
        disk = there.path / edition / "disk.qcow2"
        subprocess.run(["qemu-img", "convert", "-O", "raw", disk, target], check=True)
        contents.append(target.read_bytes())
    assert contents[0] == contents[1]
    assert [image.name for image in wanting.offered((Form.VM,))] == ["debian-12"]
    assert wanting.edition("mine", Form.VM) == edition
    record, _ = records.of(wanting.path / edition)
    assert (record.os, record.version, record.carried) == ("Own", "7", True)
    assert {path.name for path in wanting.path.glob(".*ing-*")} == set(), "nothing of the way is left"


def test_whoever_was_killed_goes_on_where_it_was(held, wanting):
    folder, edition = held
    cargo = packed(folder, edition)
    assert send(folder, cargo, Arrivals(wanting), parts=1) == 1
    fresh = Arrivals(wanting)
    assert sum(fresh.expect(cargo).sizes.values()) == PART
    assert send(folder, cargo, fresh) == -(-cargo.size // PART) - 1
    until(lambda: has_come(fresh, cargo))


def test_a_part_that_comes_twice_or_out_of_order_changes_nothing(held, wanting):
    folder, edition = held
    cargo, arrivals, dispatch = packed(folder, edition), Arrivals(wanting), Dispatch(folder)
    arrivals.expect(cargo)
    first, second = (
        dispatch.part(PartWish(edition=edition, piece="disk.qcow2", offset=offset)) for offset in (0, PART)
    )
    assert arrivals.put(second) == 0
    assert arrivals.put(first) == arrivals.put(first) == PART
    assert arrivals.put(second) == PART + len(second.content)


def test_what_was_damaged_on_its_way_is_sent_again_from_the_beginning(held, wanting):
    folder, edition = held
    cargo, arrivals = packed(folder, edition), Arrivals(wanting)
    arrivals.expect(cargo)
    arrivals.put(Part(edition=edition, piece="disk.qcow2", offset=0, content=b"x" * PART))
    send(folder, cargo, arrivals)
    with pytest.raises(Unavailable, match="damaged"):
        until(lambda: has_come(arrivals, cargo))
    assert not (wanting.path / edition).exists()
    send(folder, cargo, arrivals)
    until(lambda: has_come(arrivals, cargo))


def test_what_comes_is_examined_as_a_strangers_file(wanting, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1024 * 1024))
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", disk], check=True)
    content = disk.read_bytes()
    piece = Piece(name="disk.qcow2", size=len(content), sha256=hashlib.sha256(content).hexdigest())
    record = ImageRecord(name="evil", form=Form.VM, source="x", made_at=records.now())
    cargo, arrivals = Cargo(edition="evil-vm-1", record=record, pieces=(piece,)), Arrivals(wanting)
    arrivals.expect(cargo)
    arrivals.put(Part(edition="evil-vm-1", piece="disk.qcow2", offset=0, content=content))
    with pytest.raises(Impossible, match="can't be used"):
        until(lambda: has_come(arrivals, cargo))
    assert not (wanting.path / "evil-vm-1").exists()


@pytest.mark.parametrize("edition", ["../x", "a/b", ".held", "", "a\n"])
def test_an_edition_that_leads_elsewhere_is_refused(held, wanting, edition):
    folder, _ = held
    record = ImageRecord(name="x", form=Form.VM, source="x", made_at=records.now())
    for wish in (
        lambda: Dispatch(folder).cargo(edition),
        lambda: Dispatch(folder).part(PartWish(edition=edition, piece="kernel", offset=0)),
        lambda: Arrivals(wanting).expect(Cargo(edition=edition, record=record, pieces=())),
        lambda: Arrivals(wanting).put(Part(edition=edition, piece="kernel", offset=0, content=b"")),
    ):
        with pytest.raises(Impossible, match="no name"):
            wish()


def test_an_image_for_which_there_is_no_room_is_refused_before_anything_is_sent(held, wanting):
    folder, edition = held
    cargo = packed(folder, edition)
    large = Cargo(edition=edition, record=cargo.record, pieces=(Piece(name="disk.qcow2", size=HUGE, sha256=""),))
    with pytest.raises(Unavailable, match="no room"):
        Arrivals(wanting).expect(large)
    part = Dispatch(folder).part(PartWish(edition=edition, piece="disk.qcow2", offset=0))
    with pytest.raises(Unavailable, match="expected"):
        Arrivals(wanting).put(part)


def test_an_image_that_is_gone_is_not_packed_and_its_parts_stay_while_it_travels(held, wanting):
    folder, edition = held
    cargo, arrivals = packed(folder, edition), Arrivals(wanting)
    send(folder, cargo, arrivals, parts=1)
    folder.withdraw("mine")
    folder.collect()
    assert not (folder.path / edition).exists()
    send(folder, cargo, arrivals)
    until(lambda: has_come(arrivals, cargo))
    with pytest.raises(BackendError):
        packed(folder, "gone-vm-1")


def test_what_nobody_fetches_is_removed_after_an_hour(held, wanting):
    folder, edition = held
    cargo = packed(folder, edition)
    send(folder, cargo, Arrivals(wanting), parts=1)
    for there in (folder, wanting):
        tidy(there)
        (home,) = there.path.glob(f".*{edition}")
        os.utime(home, (0, time.time() - 3700))
        tidy(there)
        assert not home.exists()
    assert (folder.path / edition).is_dir()
    assert Arrivals(wanting).expect(cargo).sizes == {"disk.qcow2": 0}


def test_a_copy_goes_a_week_after_it_was_last_counted_on(held, wanting):
    folder, edition = held
    cargo, arrivals = packed(folder, edition), Arrivals(wanting)
    send(folder, cargo, arrivals)
    until(lambda: has_come(arrivals, cargo))
    home, week = wanting.path / edition, 7 * 24 * 3600
    os.utime(home / "image.json", (0, time.time() - week - 60))
    has_come(arrivals, cargo)  # somebody counts on it
    wanting.collect()
    assert home.is_dir()
    os.utime(home / "image.json", (0, time.time() - week - 60))
    wanting.collect()
    assert not home.exists()
