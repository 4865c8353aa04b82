"""A founded state folder, opened for a command."""

from pathlib import Path

import click

from sfa_am import config as settings
from sfa_am.config import ConfigError
from sfa_am.store import Store


class Installation:
    """Settings and store of a state folder."""

    def __init__(self, state: Path) -> None:
        """Raises ClickException when nothing was founded there, or its settings can't be used."""
        self.state = state
        try:
            self.config = settings.load(state / settings.CONFIG_NAME)
        except ConfigError as e:
            raise click.ClickException(str(e)) from e
        self.store = Store.in_folder(state)
        self.store.migrate()
