"""The last migration of each app that the first release brings.

Those up to here ran on empty tables wherever they ran, so they may take whatever locks they
like. homepot/migration_checks.py looks at all that come after. Until that release new migrations
are named here; from then on this stays as it is.
"""

from __future__ import annotations

FIRST_RELEASE = {
    "accounts": "0005_add_api_key_times",
    "audit": "0007_check_words_sooner",
    "devices": "0012_check_words_sooner",
    "homepot": "0005_add_data_imports",
    "jobs": "0005_check_words_sooner",
    "sites": "0001_initial",
}
