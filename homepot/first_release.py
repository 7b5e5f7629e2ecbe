"""The last migration of each app that the first release brings.

Those up to here ran on empty tables wherever they ran, so they may take whatever locks they
like. homepot/migration_checks.py looks at all that come after. Until that release new migrations
are named here; from then on this stays as it is.
"""

from __future__ import annotations

FIRST_RELEASE = {
    "accounts": "0004_add_session_version",
    "audit": "0004_add_target_index",
    "devices": "0003_add_rollups",
    "homepot": "0003_add_mark_to_sweeps",
    "jobs": "0002_add_executions",
    "sites": "0001_initial",
}
