"""The API's description of itself."""

from __future__ import annotations

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from accounts.permissions import PolicyPermission
from accounts.policy import Action


class SchemaView(SpectacularAPIView):
    """The OpenAPI document, for everybody: it holds no data."""

    authentication_classes: list[type] = []
    access = {"GET": Action.ANYONE}
    permission_classes = [PolicyPermission]
    renderer_classes = [OpenApiJsonRenderer, OpenApiYamlRenderer]


class SwaggerView(SpectacularSwaggerSplitView):
    """The document as a page; its assets are served from here."""

    authentication_classes: list[type] = []
    access = {"GET": Action.ANYONE}
    permission_classes = [PolicyPermission]
