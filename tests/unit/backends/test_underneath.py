"""The search for what is underneath finds it where it is told, and not in letters at random."""

import base64
import random

import pytest

from backends.underneath import underneath


@pytest.mark.parametrize(
    "told",
    [
        "lxc-start failed",
        "no QEMU here",
        "see /var/lib/x",
        "can't open '/run/sfa-am/n1234'",
        "Server: TwistedWeb/22.4.0",
        "Traceback (most recent call last)",
        'File "x.py", line 3',
        "KeyError: 'x'",
        "<class 'int'>",
        "a &lt;class &amp;lt; &quot;/sys/fs&quot;",
        "node7.internal does not answer",
    ],
)
def test_it_is_found(told):
    assert underneath(f"it says: {told}", "node7.internal")


@pytest.mark.parametrize(
    "told",
    [
        "https://localhost:12346/am/3",
        "ARGUMENT_ERROR (urn:publicid:IDN+plc+slice+x has no such field)",
        "debian-12 of Linux on container-small",
        "<rspec><node client_id='a'/></rspec>",
        "10.0.0.12",
        "the latest possible is 2026-12-14T07:33:39Z",
    ],
)
def test_what_researchers_are_told_is_not_taken_for_it(told):
    assert underneath(told, "node7.internal", "10.0.0.1") == []


def test_letters_at_random_are_not_taken_for_words():
    octets = random.Random(1).randbytes(30_000)  # noqa: S311 - repeatable is what matters
    letters = base64.encodebytes(octets).decode().replace("AAAA", "lxc+")
    pem = f"-----BEGIN CERTIFICATE-----\n{letters}\n/sys/qemu=\n-----END CERTIFICATE-----"
    assert underneath(f"{pem} and <ds:X509Certificate>lxc/{letters}</ds:X509Certificate>") == []
