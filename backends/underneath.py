"""What is underneath, and must be in nothing that a researcher is told: one list of words, and the search for them.

Certificates, signatures and keys are left out of the search for words: letters at random spell any of the short ones.
"""

import html
import re

WORDS = (
    *("lxc", "libvirt", "qemu", "kvm", "openstack", "nova", "glance", "neutron", "cinder", "keystone", "gluster"),
    *("overlay", "cgroup", "seccomp", "netns", "veth", "vxlan", "bridge", "nftables", "iptables", "dnsmasq"),
    *("mmdebstrap", "debootstrap", "nats", "sqlite", "postgres"),
    *("twisted", "sqlalchemy", "pydantic", "pyroute2", "lxml", "openssl", "cryptography", "xmlrpclib"),
)
"""Found at the beginning of a word, whatever the case: also in `lxc-start` and `QEMU`."""

PATHS = ("/var/", "/run/", "/sys/", "/proc/", "/usr/", "/etc/", "/root/", "/home/", "/tmp/", "/dev/")  # noqa: S108

_PYTHON = re.compile(
    r"Traceback|\bFile \\?[\"']|\.py\b|<class |\bobject at 0x|NoneType|\w+' object|'\w+' codec|int\(\) with base"
    r"|values to unpack|\b(sfa_am|backends|sfi_tool|credentials|rspec)\.[a-z_]+\.|\bdatetime\.\w+\(|frozenset\("
    r"|\b[A-Z][a-z]+\w*(Error|Exception|Interrupt|Warning)\b"
)
_WORD = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, WORDS))})\w*", re.IGNORECASE)
_PATH = re.compile(rf"(?<![A-Za-z0-9.:/+=])({'|'.join(map(re.escape, PATHS))})[\w.-]*")
_AT_RANDOM = re.compile(
    r"-----BEGIN (?P<what>[A-Z0-9 ]+)-----.*?-----END (?P=what)-----"
    r"|<(?P<tag>\w*:?(X509Certificate|SignatureValue|DigestValue|Modulus))\b[^>]*>[^<]*</(?P=tag)>"
    r"|(?=[^\s]*[a-z])(?=[^\s]*[A-Z])(?=[^\s]*[0-9])[A-Za-z0-9+/]{40,}={0,2}",
    re.DOTALL,
)


def underneath(shown: str, *also: str) -> list[str]:
    """What of `shown` names what is underneath, each in its surroundings; empty when nothing does.

    also: names of this very installation that must not be there either: of its host, its interfaces, its folders
    """
    plain = _without_random_letters(html.unescape(html.unescape(shown)))
    found = [match for pattern in (_WORD, _PATH, _PYTHON) for match in pattern.finditer(plain)]
    for name in also:
        ends = r"(?!\d)" if name[-1:].isdigit() else ""  # 10.0.0.1 is not told by 10.0.0.12
        found += re.finditer(rf"(?<![\w.-]){re.escape(name)}{ends}", plain, re.IGNORECASE)
    return [_around(plain, match) for match in found]


def _without_random_letters(text: str) -> str:
    return _AT_RANDOM.sub("...", text)


def _around(text: str, match: re.Match[str]) -> str:
    return f"{match[0]!r} in {text[max(0, match.start() - 60) : match.end() + 60]!r}"
