"""Staff pages of users, for admins only."""

from __future__ import annotations

from accounts.admin import failed_sign_ins as failed_sign_ins
from accounts.admin import user as user
from accounts.admin import user_page as user_page
