"""Content security policies: strict everywhere, wider only where a page needs it."""

from __future__ import annotations

STRICT = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# The admin's theme runs Alpine.js, which evaluates expressions, and sets inline styles.
ADMIN = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
# Swagger UI styles itself inline and draws its icons from data: URLs.
API_DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# The first prefix that fits the path decides.
CONTENT_SECURITY_POLICIES = (
    ("/admin/", ADMIN),
    ("/api/v1/docs", API_DOCS),
    ("/", STRICT),
)
