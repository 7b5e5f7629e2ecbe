"""OpenAPI: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from homepot.errors import PROBLEM_CONTENT_TYPE

Problem = inline_serializer(
    "Problem",
    {
        "type": serializers.CharField(),
        "title": serializers.CharField(),
        "status": serializers.IntegerField(),
        "detail": serializers.CharField(),
        "code": serializers.CharField(help_text="Stable, for programs."),
        "errors": serializers.DictField(required=False, help_text="By field, for 400 and 409."),
    },
)


class ProblemSchema(AutoSchema):
    """Adds the answers that every route may give instead of its own, and our pages."""

    def get_response_serializers(self) -> Any:
        own: Any = super().get_response_serializers()
        if isinstance(own, dict):
            return own
        return {201: own} if self.method == "POST" else own

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        # Here, and not above, which a view that declares its answers replaces.
        bodies = super()._get_response_bodies(direction)
        for code in sorted(self._problem_codes()):
            bodies.setdefault(
                str(code),
                self._get_response_for_code(Problem, str(code), [PROBLEM_CONTENT_TYPE], direction),
            )
        return bodies

    def _problem_codes(self) -> set[int]:
        codes = {400, 401, 403, 406, 503}
        if "{" in self.path:
            codes.add(404)
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            codes.add(409)
        if self.method in ("POST", "PUT", "PATCH"):
            codes |= {411, 413, 415}
        if self.view.throttle_classes:
            codes.add(429)
        return codes

    def _get_paginator(self) -> Any:
        return getattr(self.view, "paginator", None)


def without_final_slash(endpoints: list[tuple[str, str, str, Any]]) -> list[Any]:
    """Name each path as it is documented; the slash that it may end in is optional."""
    return [(path.rstrip("/"), *others) for path, *others in endpoints]
