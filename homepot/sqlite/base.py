"""Django's SQLite engine, with an error that says which file it could not open."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from homepot.database import describe_database


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except sqlite3.OperationalError as error:
            folder = Path(self.settings_dict["NAME"]).parent
            problem = f"the folder {folder} does not exist" if not folder.is_dir() else str(error)
            raise OperationalError(
                f"Cannot open the {describe_database(self.settings_dict)}: {problem}. "
                "DATABASE__URL must name a file in a folder that this user may write to."
            ) from error
