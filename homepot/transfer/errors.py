from __future__ import annotations


class TransferError(Exception):
    """The move cannot be made; the message says why and what would help."""
