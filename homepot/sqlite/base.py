"""Django's SQLite engine, with an error that says which file it could not open."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from homepot.database import describe_database


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        path = Path(self.settings_dict["NAME"])
        _make_private(path)
        try:
            if path.exists() and not os.access(path, os.W_OK):
                # SQLite opens it and fails at the first write, whoever that is.
                raise sqlite3.OperationalError("this user may not write to it")
            return super().get_new_connection(conn_params)
        except sqlite3.DatabaseError as error:
            problem = str(error)
            if not path.parent.is_dir():
                problem = f"the folder {path.parent} does not exist"
            raise OperationalError(
                f"Cannot open the {describe_database(self.settings_dict)}: {problem}. "
                "DATABASE__URL must name a file in a folder that this user may write to."
            ) from error


def _make_private(path: Path) -> None:
    """Make the file its owner's alone if SQLite is about to make it; its journals follow it."""
    # Tests name databases in memory by a URI. What cannot be made, SQLite explains.
    if not str(path).startswith("file:"):
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
