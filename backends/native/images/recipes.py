"""What our own images consist of: packages, files, and what is taken out again. One recipe for each form of machine.

Both have a small init that comes up in moments, also where instructions are emulated. The virtual machine's image reads
a NoCloud seed, as images with cloud-init do; seeds are written as JSON, which is YAML too, so that it needs no more
than jq for that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.protocol import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an image is made.

    suite:    of Debian
    files:    content by path, with the modes of those that are not 0644
    links:    target by path, of symbolic links
    removed:  patterns of what is deleted at the end
    commands: run in the image, before that, by a shell
    """

    suite: str
    packages: tuple[str, ...]
    files: Mapping[str, str]
    modes: Mapping[str, int]
    links: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...]
    commands: str = ""

    def digest(self) -> str:
        """A short name of exactly this recipe."""
        everything = (self.suite, self.packages, self.files, self.modes, self.links, self.removed, self.commands)
        return hashlib.sha256(repr(everything).encode()).hexdigest()[:8]


LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
"""Paths that no package brings in."""

_PACKAGES = (
    "busybox-static",
    "ca-certificates",
    "iproute2",
    "iputils-ping",
    "less",
    "nano",
    "openssh-server",
    "procps",
    "sudo",
)
_REMOVED = ("etc/ssh/ssh_host_*", "var/cache/apt/*.bin", "var/lib/apt/lists/*_*", "etc/machine-id", "etc/resolv.conf")

_FILES = {
    "etc/ssh/sshd_config": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\n"
        "PasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\n"
        "PermitRootLogin no\n"
        "UsePAM no\n"
        "UseDNS no\n"
        "PrintMotd no\n"
        "X11Forwarding no\n"
        "AcceptEnv LANG LC_*\n"
        "Subsystem sftp /usr/lib/openssh/sftp-server\n"
    ),
    # Researchers are root in their own machine.
    "etc/sudoers.d/sliver": "%sudo ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "etc/hostname": "sliver\n",
}
_DHCP = r"""#!/bin/busybox sh
# As udhcpc calls it: /etc/sliver/dhcp EVENT, and what the server has said in variables.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
logins=eth0 table=100
case $1 in
deconfig)
  ip link set "$interface" up
  ip -4 address flush dev "$interface"
  back=$(ip -4 route show default table $table 2>/dev/null)
  [ -z "$back" ] || [ -n "$(ip -4 route show default)" ] || ip route add $back
  ;;
bound | renew)
  ip -4 address show dev "$interface" | grep -qF " $ip/$mask " || {
    ip -4 address flush dev "$interface"
    ip address add "$ip/$mask" dev "$interface"
  }
  # Out by the link from now on; but answers to who logs in leave by the way that they came.
  for via in $router; do
    own=$(ip -4 -o address show dev $logins | tr / ' ' | while read -r _ _ _ own _; do echo "$own"; break; done)
    back=$(ip -4 route show default dev $logins)
    [ -z "$back" ] || ip route replace $back dev $logins table $table
    [ -z "$own" ] || ip rule show | grep -qF "from $own lookup $table" || ip rule add from "$own" lookup $table
    ip route replace default via "$via" dev "$interface"
    break
  done
  # Before others, since these know the machines of the link, and send on who asks for anything else.
  for server in $dns; do
    others=$(grep -vxF "nameserver $server" /etc/resolv.conf 2>/dev/null)
    { echo "nameserver $server"; [ -z "$others" ] || printf '%s\n' "$others"; } >/run/resolv.new
    cat /run/resolv.new >/etc/resolv.conf
  done
  ;;
esac
exit 0
"""

_MODES = {"etc/sliver/boot": 0o755, "etc/sliver/dhcp": 0o755, "etc/sudoers.d/sliver": 0o440}

ASK = '/bin/busybox udhcpc -b -S -i "$name" -p "/run/udhcpc.$name.pid" -s /etc/sliver/dhcp </dev/null >/dev/null 2>&1'
"""Have an interface ask for its address, and for ever keep it."""

_CONTAINER = Recipe(
    suite="bookworm",
    packages=_PACKAGES,
    files={
        # busybox' init: reaps what is orphaned, starts sshd again when it ends, answers to the signal for a shutdown.
        "etc/inittab": "::sysinit:/etc/sliver/boot\n::respawn:/usr/sbin/sshd -D\n",
        "etc/sliver/boot": (
            "#!/bin/busybox sh\n/bin/busybox mkdir -p -m 0755 /run/sshd\n/bin/busybox mkdir -p /run/lock\n"
            f"for name in $SLIVER_DHCP; do {ASK} & done\n"
        ),
        "etc/sliver/dhcp": _DHCP,
        **_FILES,
    },
    modes=_MODES,
    removed=_REMOVED,
)

_BOOT = r"""#!/bin/busybox sh
# Bring this machine up: file systems, what its seed says it is, its networks, its accounts.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc -o nosuid,nodev,noexec proc /proc 2>/dev/null
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys 2>/dev/null
mount -t devtmpfs -o nosuid,mode=0755 devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec,gid=5,mode=0620 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs /run
mkdir -p /run/sshd /run/lock /run/seed
mount -o remount,rw /
modprobe -a -q virtio_net virtio_console virtio_rng isofs
resize2fs /dev/vda 2>/dev/null
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
[ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ip link set lo up
seed=$(blkid -L cidata) && mount -o ro "$seed" /run/seed && /etc/sliver/seed /run/seed && umount /run/seed
hostname -F /etc/hostname
# Where the agent finds its channel: there is no udev to make the link.
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] && ln -sf "/dev/${port##*/}" /run/agent-channel
done
exit 0
"""

_SEED = r"""#!/bin/sh
# Be what a NoCloud seed says, whose files are JSON: /etc/sliver/seed FOLDER
# Networks and boot commands at each boot; accounts, files and commands once for each instance-id.
seed=$1 known=/var/lib/sliver/instance-id
user() { sed 1d "$seed/user-data" | jq -r "$@"; }
interface_of() { grep -lxF "$1" /sys/class/net/*/address | cut -d/ -f5; }
jq -r '.ethernets | to_entries[] | [.value.match.macaddress, (.value["set-name"] // .key), (.value.mtu // 1500),
  ((.value.routes // [])[] | select(.to == "default") | .via) // "-", (.value.dhcp4 // false),
  (.value.addresses // [])[]] | @tsv' "$seed/network-config" | while read -r mac name mtu via asks addresses; do
  old=$(interface_of "$mac")
  [ -n "$old" ] || continue
  [ "$old" = "$name" ] || ip link set "$old" name "$name"
  ip link set "$name" mtu "$mtu" up
  for address in $addresses; do ip address add "$address" dev "$name"; done
  [ "$via" = - ] || ip route replace default via "$via"
  [ "$asks" = false ] || @ASK@ &
done
servers=$(jq -r '[.ethernets[].nameservers.addresses // [] | .[]] | unique | .[] | "nameserver " + .' \
  "$seed/network-config")
[ -z "$servers" ] || printf '%s\n' "$servers" >/etc/resolv.conf
instance=$(jq -r '."instance-id"' "$seed/meta-data")
name=$(jq -r '."local-hostname"' "$seed/meta-data")
is_new() { [ "$(cat "$known" 2>/dev/null)" != "$instance" ]; }
if is_new; then
  printf '%s\n' "$name" >/etc/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n' "$name" >/etc/hosts
fi
commands() { user --arg key "$1" '(.[$key] // [])[] | if type == "array" then map(@sh) | join(" ") else . end'; }
commands bootcmd >/run/bootcmd
[ ! -s /run/bootcmd ] || sh /run/bootcmd
is_new || exit 0
user '.users[].name' | while read -r name; do
  id -u "$name" >/dev/null 2>&1 || useradd -p '*' --create-home --shell /bin/bash --groups sudo "$name"
  home=$(getent passwd "$name" | cut -d: -f6)
  mkdir -p -m 0700 "$home/.ssh"
  user --arg name "$name" '.users[] | select(.name == $name) | .ssh_authorized_keys[]' >"$home/.ssh/authorized_keys"
  chmod 0600 "$home/.ssh/authorized_keys"
  chown -R "$name": "$home/.ssh"
done
commands runcmd >/run/runcmd
[ ! -s /run/runcmd ] || sh /run/runcmd
mkdir -p "${known%/*}"
printf '%s\n' "$instance" >"$known"
"""

_INITRD = r"""
# All that a start needs before it has its disk: three drivers. Debian's own would look for hardware first, which takes
# as long again as the kernel.
version=$(ls /lib/modules) folder=$(mktemp -d)
mkdir -p "$folder/bin" "$folder/modules" "$folder/root" "$folder/dev" "$folder/proc"
cp /bin/busybox "$folder/bin/"
needed=$(modprobe -a -S "$version" --show-depends virtio_pci virtio_blk ext4 | awk '$1 == "insmod" { print $2 }')
for module in $needed; do
  [ -e "$folder/modules/${module##*/}" ] && continue
  cp "$module" "$folder/modules/"
  echo "${module##*/}" >>"$folder/modules/order"
done
cat >"$folder/init" <<'END'
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox mount -t proc proc /proc
while read -r module; do /bin/busybox insmod "/modules/$module"; done </modules/order
tries=0
until /bin/busybox mount -t ext4 /dev/vda /root || [ $((tries += 1)) -gt 100 ]; do /bin/busybox sleep 0.1; done
/bin/busybox umount /proc
/bin/busybox mount --move /dev /root/dev
exec /bin/busybox switch_root /root /sbin/init
END
chmod 0755 "$folder/init"
(cd "$folder" && find . | busybox cpio -o -H newc | gzip) >"/boot/initrd.img-$version"
rm -r "$folder"
"""

_VM = Recipe(
    suite="bookworm",
    packages=(
        *_PACKAGES,
        "e2fsprogs",
        "jq",
        "kmod",
        "linux-image-cloud-amd64",
        "qemu-guest-agent",
    ),
    files={
        "etc/inittab": (
            "::sysinit:/etc/sliver/boot\n"
            "::respawn:/usr/sbin/sshd -D\n"
            "::respawn:/usr/sbin/qemu-ga --method=virtio-serial --path=/run/agent-channel\n"
            "::ctrlaltdel:/bin/busybox reboot\n"
            "::shutdown:/bin/busybox umount -a -r\n"
        ),
        "etc/sliver/boot": _BOOT,
        "etc/sliver/dhcp": _DHCP,
        "etc/sliver/seed": _SEED.replace("@ASK@", ASK),
        "usr/sbin/shutdown": (
            "#!/bin/busybox sh\n# As the agent calls it: -h, -P or -r, and when, which is always now.\n"
            'case " $* " in *" -r "*) exec /bin/busybox reboot ;; esac\nexec /bin/busybox poweroff\n'
        ),
        **_FILES,
    },
    modes={**_MODES, "etc/sliver/seed": 0o755, "usr/sbin/shutdown": 0o755},
    links=dict.fromkeys(("usr/sbin/init", "usr/sbin/reboot", "usr/sbin/poweroff", "usr/sbin/halt"), "/bin/busybox"),
    removed=_REMOVED,
    commands=_INITRD,
)

RECIPES = {Form.CONTAINER: _CONTAINER, Form.VM: _VM}
