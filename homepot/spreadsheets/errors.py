"""What the present state of an import refuses."""

from __future__ import annotations

from homepot.errors import DomainError


class ImportNotReadyError(DomainError):
    code = "import_not_ready"
