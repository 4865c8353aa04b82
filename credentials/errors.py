"""What this library raises: one tree. The sentence of each is fit for the person who sent the thing."""


class CredentialError(Exception):
    """Something sent as a name, a certificate or a credential can't be used."""


class BadName(CredentialError):
    """Not a URN or HRN."""


class BadGID(CredentialError):
    """Not a certificate that can be read."""


class BadCRL(CredentialError):
    """Not a revocation list that can be read."""


class BadKey(CredentialError):
    """Not a key of a kind that is used here."""


class GIDRefused(CredentialError):
    """A certificate that can be read and is not trusted. `check`: the short, stable name of the check that failed."""

    def __init__(self, check: str, sentence: str) -> None:
        super().__init__(sentence)
        self.check = check


class CredentialRefused(CredentialError):
    """A credential that does not allow what is asked. `check`: the short, stable name of the check that failed."""

    def __init__(self, check: str, sentence: str) -> None:
        super().__init__(sentence)
        self.check = check
