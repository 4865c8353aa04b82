"""Images of a host: files become images or are refused, whole or not at all; they stay while anybody needs them."""

import fcntl
import hashlib
import io
import os
import struct
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from backends.image_library import Format, ImageRefused, Source
from backends.native.images import DEBIAN_12, Holder, ImageFolder
from backends.native.images.folder import disk_files
from backends.native.images.holding import let_go
from backends.native.images.library import FolderLibrary, open_library
from backends.native.node.cli import main as sfa_node
from backends.native.settings import NodeSettings
from backends.protocol import Context, Form, Impossible

pytestmark = pytest.mark.needs("root", "qemu-img")

SECTOR = b"boot".ljust(510, b".") + b"\x55\xaa"
USUAL = {
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
    "etc/shadow": b"root:*:1:::::\n",
    "etc/group": b"sudo:x:27:\n",
    "bin/sh": b"#",
    "usr/sbin/sshd": b"#",
    "sbin/init": b"#",
}


@pytest.fixture
def images(tmp_path):
    return ImageFolder(tmp_path / "images")


@pytest.fixture
def library(tmp_path):
    return FolderLibrary(NodeSettings(image_folder=tmp_path / "images", virtual_machines=True), tmp_path)


@pytest.fixture
def raw(tmp_path):
    def make(content=SECTOR, size=1 << 20):
        path = tmp_path / "disk.raw"
        path.write_bytes(content.ljust(size, b"\0"))
        return path

    return make


@pytest.fixture
def qcow2(tmp_path, raw):
    def make(*options, patch=()):
        path = tmp_path / "disk.qcow2"
        source = [] if any(option == "-b" for option in options) else [str(1 << 20)]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, path, *source], check=True)
        content = bytearray(path.read_bytes())
        for offset, octets in patch:
            content[offset : offset + len(octets)] = octets
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def tar(tmp_path):
    """A tar of what a container needs and the members given besides, or in place of that."""

    def make(*members, without=(), mode="w"):
        path = tmp_path / "rootfs.tar"
        with tarfile.open(path, mode) as file:
            for name, content in USUAL.items():
                if name not in without:
                    file.addfile(member(name, size=len(content)), io.BytesIO(content))
            for one in members:
                file.addfile(one, io.BytesIO(b"x" * one.size))
        return path

    return make


def member(name, kind=tarfile.REGTYPE, **values):
    one = tarfile.TarInfo(name)
    one.type = kind
    for key, value in values.items():
        setattr(one, key, value)
    return one


def disk(path, name="mine", form=Format.RAW, **words):
    return Source(name=name, file=path, format=form, **words)


def root(path, name="mine", **words):
    return Source(name=name, file=path, format=Format.ROOTFS_TAR, **words)


def refusal(images, source):
    with pytest.raises(ImageRefused) as caught:
        images.take(source)
    left = [path.name for path in images.path.iterdir() if path.name not in (".lock", ".changes")]
    assert left == [], "nothing is there of what was refused"
    return str(caught.value)


# Disks


def test_a_raw_disk_becomes_an_image_for_virtual_machines(images, raw):
    path = raw()
    home = images.take(disk(path, os="Linux", version="1", description="mine"))
    assert [(one.name, one.os, one.forms) for one in images.offered(list(Form))][1:] == [("mine", "Linux", (Form.VM,))]
    assert images.edition("mine", Form.VM) == home.name
    assert home.name.startswith("mine-vm-")
    files = disk_files(home)
    assert (files.kernel, files.disk.stat().st_mode & 0o777) == (None, 0o644)
    back = path.with_name("back.raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", files.disk, back], check=True)
    assert back.read_bytes() == path.read_bytes()


def test_a_host_without_virtual_machines_does_not_offer_disks(images, raw):
    images.take(disk(raw()))
    assert [one.name for one in images.offered([Form.CONTAINER])] == ["debian-12"]


def test_a_disk_that_reads_a_file_of_the_host_is_refused(images, raw, qcow2):
    backed = qcow2("-b", raw(), "-F", "raw")
    assert "backing file" in refusal(images, disk(backed, form=Format.QCOW2))


def test_a_disk_whose_content_is_a_file_of_the_host_is_refused(images, tmp_path, qcow2):
    elsewhere = qcow2("-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    assert "external data file" in refusal(images, disk(elsewhere, form=Format.QCOW2))


def test_a_disk_that_names_a_data_file_and_does_not_say_so_is_refused(images, qcow2):
    extension = struct.pack(">II8s", 0x44415441, 8, b"/etc/pas")
    plain = qcow2()
    length = struct.unpack(">I", plain.read_bytes()[100:104])[0]
    hidden = qcow2(patch=[(length, extension + bytes(8))])
    assert "external data file" in refusal(images, disk(hidden, form=Format.QCOW2))


@pytest.mark.parametrize(
    ("offset", "octets", "says"),
    [
        (0, b"QFI\0", "not a qcow2"),
        (4, struct.pack(">I", 9), "version 9"),
        (32, struct.pack(">I", 1), "encrypted"),
        (72, struct.pack(">Q", 2), "damaged"),
        (72, struct.pack(">Q", 1 << 40), "features"),
        (24, struct.pack(">Q", 1 << 60), "at most"),
        (24, bytes(8), "at least 1"),
        (40, struct.pack(">Q", 0x12345), "damaged"),
    ],
)
def test_a_disk_that_is_not_in_order_is_refused(images, qcow2, offset, octets, says):
    assert says in refusal(images, disk(qcow2(patch=[(offset, octets)]), form=Format.QCOW2))


def test_a_qcow2_said_to_be_raw_is_refused_with_what_it_is(images, qcow2):
    assert "--format qcow2" in refusal(images, disk(qcow2()))


def test_a_raw_disk_of_half_a_sector_is_refused(images, raw):
    assert "whole sectors" in refusal(images, disk(raw(b"x", size=700)))


def test_a_file_that_is_not_the_one_meant_is_refused(images, raw):
    path = raw()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in refusal(images, disk(path, sha256="0" * 64))
    assert images.take(disk(path, sha256=digest.upper())).is_dir()


@pytest.mark.parametrize("name", ["", "A", "a/b", "../x", "-a", ".held", "a" * 64, "a b", "a+b"])
def test_a_name_that_could_not_be_in_a_urn_or_a_path_is_refused(images, raw, name):
    with pytest.raises(ImageRefused, match="can't be the name"):
        images.take(disk(raw(), name=name))


def test_the_name_of_a_built_in_image_is_taken(images, raw):
    with pytest.raises(ImageRefused, match="built in"):
        images.take(disk(raw(), name=DEBIAN_12.name))


def test_what_is_no_file_is_refused(images, tmp_path):
    assert "No such file" in refusal(images, disk(tmp_path / "absent"))
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in refusal(images, disk(tmp_path / "pipe"))


# Files of containers


def test_a_tar_becomes_an_image_for_containers_with_its_owners_and_modes(images, tar):
    home = images.take(
        root(
            tar(
                member("./home", tarfile.DIRTYPE, mode=0o750, uid=1000, gid=1000),
                member("home/tool", mode=0o4755, uid=1000, gid=65534, size=3),
                member("home/other", tarfile.LNKTYPE, linkname="home/tool"),
                member("home/link", tarfile.SYMTYPE, linkname="/etc/passwd"),
            )
        )
    )
    rootfs = images.rootfs(home.name)
    tool = (rootfs / "home/tool").stat()
    assert (oct(tool.st_mode), tool.st_uid, tool.st_gid, tool.st_nlink) == ("0o104755", 1000, 65534, 2)
    assert ((rootfs / "home").stat().st_uid, (rootfs / "home/link").readlink()) == (1000, Path("/etc/passwd"))
    assert rootfs.stat().st_mode & 0o777 == 0o755
    assert images.init(home.name) == "/sbin/init"
    assert sorted(path.name for path in home.iterdir()) == ["image.json", "rootfs"]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_tar_may_be_compressed(images, tar, mode):
    assert (images.take(root(tar(mode=mode))) / "rootfs/etc/passwd").is_file()


def test_capabilities_are_kept_and_other_attributes_are_not(images, tar):
    capability = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    headers = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.note": "x",
    }
    home = images.take(root(tar(member("bin/ping", size=1, pax_headers=headers))))
    ping = home / "rootfs/bin/ping"
    assert os.listxattr(ping) == ["security.capability"]
    assert os.getxattr(ping, "security.capability") == capability


def test_device_nodes_and_pipes_are_left_out(images, tar):
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    home = images.take(root(tar(*(member(f"dev/{n}", kind, devmajor=1) for n, kind in enumerate(kinds)))))
    assert not (home / "rootfs/dev").exists()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (member("/etc/evil", size=1), "begins with /"),
        (member("../evil", size=1), "leads out"),
        (member("a/../../evil", size=1), "leads out"),
        (member("evil", tarfile.LNKTYPE, linkname="../../etc/passwd"), "leads out"),
        (member("evil", tarfile.LNKTYPE, linkname="/etc/passwd"), "begins with /"),
        (member("evil", tarfile.LNKTYPE, linkname="absent"), "can't be unpacked"),
        (member("evil", uid=70000, size=1), "belongs to user 70000"),
        (member("etc/shadow", tarfile.SYMTYPE, linkname="/etc/shadow"), "etc/shadow is not a file"),
        (member("etc/group", size=4), "no group sudo"),
    ],
)
def test_a_tar_that_leads_out_or_can_not_be_a_container_is_refused(images, tar, bad, says):
    assert says in refusal(images, root(tar(bad)))


@pytest.mark.parametrize("lacking", USUAL)
def test_what_a_container_needs_must_be_there(images, tar, lacking):
    assert Path(lacking).name in refusal(images, root(tar(without=[lacking])))


def test_a_link_in_a_tar_leads_nowhere_outside(images, tar, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    home = images.take(
        root(
            tar(
                member("way", tarfile.SYMTYPE, linkname=str(outside)),
                member("up", tarfile.SYMTYPE, linkname="../" * 20 + str(outside)),
                member(f"{outside}/".lstrip("/"), tarfile.DIRTYPE, mode=0o755),
                member("way/file", size=4),
                member("up/evil", size=4),
            )
        )
    )
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"file": "mine"}
    assert (home / "rootfs" / str(outside).lstrip("/") / "evil").read_text() == "xxxx"


def test_a_later_member_takes_the_place_of_a_link_and_is_not_written_through_it(images, tar):
    home = images.take(
        root(tar(member("note", tarfile.SYMTYPE, linkname="etc/passwd"), member("note", size=2)), name="later")
    )
    assert (home / "rootfs/note").read_text() == "xx"
    assert (home / "rootfs/etc/passwd").read_bytes() == USUAL["etc/passwd"]


def test_what_is_no_tar_is_refused(images, raw):
    assert "not a tar file" in refusal(images, root(raw(b"nonsense")))


# Editions


def test_the_newest_import_is_what_machines_begin_from(images, raw):
    first = images.take(disk(raw(b"1")))
    second = images.take(disk(raw(b"2"), description="better"))
    assert images.edition("mine", Form.VM) == second.name != first.name
    assert [one.description for one in images.offered(list(Form)) if one.name == "mine"] == ["better"]
    assert images.take(disk(raw(b"1"), description="back again")) == first
    assert images.edition("mine", Form.VM) == first.name
    assert [one.description for one in images.offered(list(Form)) if one.name == "mine"] == ["back again"]


def test_an_import_cut_short_before_the_older_edition_was_taken_back_counts_as_done(images, raw):
    first, second = images.take(disk(raw(b"1"))), images.take(disk(raw(b"2")))
    (first / "withdrawn.json").rename(first / "image.json")
    assert (images.edition("mine", Form.VM), images.is_offered(first.name)) == (second.name, False)
    images.withdraw("mine")
    assert [one.name for one in images.offered(list(Form))] == ["debian-12"]


def test_no_other_user_of_the_host_reaches_the_files_of_a_container(images, tar):
    assert images.take(root(tar())).stat().st_mode & 0o777 == 0o700


def test_one_image_may_have_both_forms_and_our_own_stays_first(images, raw, tar):
    images.take(disk(raw(), description="disk"))
    images.take(disk(raw(), name="other"))
    images.take(root(tar(), description="files"))
    assert [(one.name, one.forms, one.description) for one in images.offered(list(Form))] == [
        ("debian-12", (Form.CONTAINER, Form.VM), DEBIAN_12.description),
        ("mine", (Form.CONTAINER, Form.VM), "files"),
        ("other", (Form.VM,), ""),
    ]


def test_an_edition_stays_while_a_record_names_it_and_goes_with_the_last(images, raw, tmp_path):
    old = images.take(disk(raw(b"1")))
    holder = Holder(images, tmp_path)
    with holder.begin("mine", Form.VM, "") as edition:
        images.withdraw("mine")
        images.collect()
        assert old.is_dir(), "a disk is just beginning from it"
        holder.settle(list)
        assert old.is_dir()
    holder.settle(lambda: [edition])
    assert old.is_dir()
    with pytest.raises(Impossible, match="not offered here any more"):
        images.edition("mine", Form.VM)
    holder.settle(list)
    assert not old.exists()


def test_an_edition_stays_while_another_installation_needs_it(images, raw, tmp_path):
    home = images.take(disk(raw()))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, theirs = Holder(images, tmp_path / "a"), Holder(images, tmp_path / "b")
    for holder in (ours, theirs):
        holder.settle(lambda: [home.name])
    images.withdraw("mine")
    ours.settle(list)
    assert home.is_dir()
    let_go(tmp_path / "b")
    images.collect()
    assert not home.exists()


def test_a_reload_begins_from_what_the_disk_began_from_when_that_is_not_offered_any_more(images, raw, tmp_path):
    home = images.take(disk(raw()))
    holder = Holder(images, tmp_path)
    holder.settle(lambda: [home.name])
    images.withdraw("mine")
    with holder.begin("mine", Form.VM, home.name) as edition:
        assert edition == home.name
    with pytest.raises(Impossible), holder.begin("mine", Form.VM, "gone-vm-0"):
        pass


def test_a_node_that_starts_again_holds_what_its_records_name(images, raw, tmp_path):
    home = images.take(disk(raw()))
    Holder(images, tmp_path).settle(lambda: [home.name])
    let_go(tmp_path)
    images.withdraw("mine")
    Holder(images, tmp_path).settle(lambda: [home.name])
    images.collect()
    assert home.is_dir()


def test_what_a_crash_left_half_made_goes_and_what_somebody_is_making_stays(images, raw):
    images.take(disk(raw()))
    half = images.path / ".building-abc"
    half.mkdir()
    with (images.path / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        images.collect()
        assert half.is_dir()
    images.collect()
    assert not half.exists()
    assert images.edition("mine", Form.VM)


def test_what_an_older_release_has_built_stays(images, tmp_path):
    old = images.path / "debian-12-container-00000000"
    old.mkdir(parents=True)
    images.collect()
    assert old.is_dir()


def test_an_import_that_is_killed_leaves_an_image_whole_or_none(images, raw, tmp_path):
    path = raw(os.urandom(1 << 20), size=48 << 20)
    program = (
        "import sys; from pathlib import Path; from backends.native.images import ImageFolder\n"
        "from backends.image_library import Format, Source\n"
        "ImageFolder(Path(sys.argv[1])).take(Source(name='mine', file=Path(sys.argv[2]), format=Format.RAW))\n"
    )
    for stage in ("source", "disk.qcow2", "image.json"):
        with subprocess.Popen([sys.executable, "-c", program, images.path, path]) as killed:
            while killed.poll() is None and not list(images.path.glob(f".building-*/{stage}")):
                time.sleep(0.001)
            killed.kill()
        deadline = time.monotonic() + 10
        while list(images.path.glob(".building-*")) and time.monotonic() < deadline:
            images.collect()
        left = {one.name for one in images.path.iterdir()} - {".lock", ".changes"}
        if left:
            assert left == {images.edition("mine", Form.VM)}
            assert images.take(disk(path)).name in left, "it is the whole file"


# What operators see


def test_the_library_tells_what_there_is_the_newest_first(library, raw, tar):
    path = raw()
    library.take(disk(path, os="Linux"))
    library.take(root(tar(), name="files"))
    shown = library.editions()
    assert [(one.name, one.form, one.source, one.is_offered) for one in shown] == [
        ("files", Form.CONTAINER, "rootfs.tar", True),
        ("mine", Form.VM, "disk.raw", True),
    ]
    assert shown[1].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(one.size > 0 for one in shown)


def test_deleting_tells_what_stays(library, raw, tmp_path, images):
    home = images.take(disk(raw()))
    Holder(images, tmp_path).settle(lambda: [home.name])
    assert [(one.edition, one.is_offered) for one in library.delete("mine")] == [(home.name, False)]
    with pytest.raises(ImageRefused, match="no imported image 'mine'"):
        library.delete("mine")
    with pytest.raises(ImageRefused, match="built in"):
        library.delete("debian-12")


def test_the_images_of_hosts_on_a_bus_are_not_here(tmp_path):
    with pytest.raises(ImageRefused, match="sfa-node image"):
        open_library({"bus": "nats://127.0.0.1:4222"}, Context(name="local", state=tmp_path))


def test_a_host_that_joined_has_the_same_commands(raw, tmp_path):
    home = tmp_path / "home"

    def run(*arguments, code=0):
        done = CliRunner().invoke(sfa_node, ["image", "--state", str(home), *arguments])
        assert done.exit_code == code, done.output
        return done.output

    assert "has not joined" in run("list", code=1)
    home.mkdir(mode=0o700)
    (home / "node.toml").write_text('name = "n1"\nbus = "nats://127.0.0.1:4222"\nprefix = "p"\n')
    assert "mine is offered" in run("import", "mine", str(raw()), "--format", "raw")
    assert "mine-vm-" in run("list", "--json")
    assert [one.name for one in ImageFolder(home / "images").offered([Form.VM])] == ["debian-12", "mine"]
