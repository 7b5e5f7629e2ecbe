"""OpenAPI: what drf-spectacular cannot see by itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers

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
    """Adds the answers that every route may give instead of its own."""

    def get_response_serializers(self) -> Any:
        own: Any = super().get_response_serializers()
        if not isinstance(own, dict):
            code = {"POST": 201, "DELETE": 204}.get(self.method, 200)
            own = {code: None if self.method == "DELETE" else own}
        codes = [400, 401, 403, 503]
        if "{" in self.path:
            codes.append(404)
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            codes.append(409)
        if self.method in ("POST", "PUT", "PATCH"):
            codes += [411, 413, 415]
        if self.view.throttle_classes:
            codes.append(429)
        problems = {
            (code, "application/problem+json"): OpenApiResponse(Problem) for code in sorted(codes)
        }
        return {**own, **problems}
