"""Names as operators write them. All functions raise ClickException with what is wrong about one."""

import click

from credentials import URN, CredentialError


def urn_of(hrn: str, kind: str) -> URN:
    """A URN, or an HRN of something of this kind."""
    try:
        return URN.parse(hrn) if hrn.lower().startswith("urn:") else URN.from_hrn(hrn, kind)
    except CredentialError as e:
        raise click.ClickException(str(e)) from e


def authorities(names: str) -> tuple[str, ...]:
    """Names of authorities joined by commas; a misspelt one would vouch for nothing, silently."""
    try:
        return tuple(URN(name.strip(), "authority", "sa").authority for name in names.split(","))
    except CredentialError as e:
        raise click.ClickException(str(e)) from e
