"""Measurements beside a bare floor in the same run. They print ratios and never assert a time."""
