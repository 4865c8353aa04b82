"""The one place of truth: tables, migrations, transactions and the queries on them."""

from sfa_am.store.engine import Store

__all__ = ["Store"]
