"""What can keep a backup from being made or restored."""

from __future__ import annotations


class BackupError(Exception):
    """The message says what is wrong and what would help; nothing was changed."""
