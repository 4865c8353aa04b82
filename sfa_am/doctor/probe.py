"""A probe: one subject and how to look at it; and how things are tried without leaving anything behind."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from sfa_am.doctor.finding import Answer, Finding, Verdict

TIMEOUT = 10
"""Seconds that one command may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One subject and how to look at it.

    look:    takes some seconds at most and leaves nothing behind; what it raises is told as an answer
    needed:  whether the native backend, as it is today, can't do without
    as_root: whether only root can tell
    """

    subject: str
    look: Callable[[], Answer]
    needed: bool = False
    as_root: bool = False

    def find(self) -> Finding:
        """Look. Never raises."""
        answer = self._answer()
        return Finding(
            subject=self.subject,
            verdict=answer.verdict,
            says=answer.says,
            remedy=answer.remedy,
            needed=self.needed,
        )

    def _answer(self) -> Answer:
        if self.as_root and os.geteuid() != 0:
            return Answer(Verdict.UNKNOWN, "needs root to tell", "run as root")
        try:
            return self.look()
        except (OSError, ValueError, subprocess.SubprocessError) as e:
            return Answer(Verdict.UNKNOWN, f"could not be tried: {e}")


def succeeds(*command: str) -> bool:
    """Whether a command ends with 0. Raises OSError, TimeoutExpired."""
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0


def succeeds_in_network_namespace(script: str) -> bool:
    """Whether a shell script succeeds in a network namespace that ends with it. Raises OSError, TimeoutExpired."""
    return succeeds("unshare", "--net", "/bin/sh", "-c", script)


def first_line(*command: str) -> str:
    """The first line that a command prints. Raises OSError, TimeoutExpired."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]
