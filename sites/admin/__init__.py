"""Staff pages of sites."""

from __future__ import annotations

from sites.admin import site as site
