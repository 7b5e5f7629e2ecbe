"""Environment variables, whose wrong values each end in one line."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from homepot.rates import Rate, parse_rate


class Env(environ.Env):
    """django-environ's, which answers a word in place of a number with a stack trace."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}.") from None

    def networks(self, var: str) -> list[IPv4Network | IPv6Network]:
        """Addresses and networks, separated by commas; none without the variable."""
        try:
            return [ip_network(entry) for entry in self.list(var, default=[])]
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}.") from None

    def rate(self, var: str, *, default: str) -> Rate | None:
        """How often something may be done, such as `5/hour`; None is no limit."""
        try:
            return parse_rate(self.str(var, default=default))
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}") from None
