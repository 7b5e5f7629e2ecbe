"""The API's description of itself."""

from __future__ import annotations

from typing import Any

from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import PolicyPermission
from accounts.policy import Action
from homepot.renderers import ORJSONRenderer


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, for everybody: it holds no data."""

    authentication_classes: list[type] = []
    access = {"GET": Action.ANYONE}
    permission_classes = [PolicyPermission]
    # The first of each pair names its format by its short, the second by its registered name.
    renderer_classes = [
        OpenApiJsonRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer2,
        OpenApiYamlRenderer,
    ]


class SwaggerView(SpectacularSwaggerSplitView):
    """The document as a page; its assets are served from here."""

    authentication_classes: list[type] = []
    access = {"GET": Action.ANYONE}
    permission_classes = [PolicyPermission]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.exception:  # the page's template has no place for one
            response.accepted_renderer = ORJSONRenderer()
        return response
