"""The calls of the agent protocol besides check-in and heartbeat."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import Action
from accounts.throttles import RouteThrottle
from devices import services
from devices.enums import EventKind
from devices.models import Device
from devices.protocol import serializers
from devices.protocol.authentication import DeviceAuthentication
from devices.protocol.batches import batch_answer
from devices.protocol.check_in_views import heartbeat_view
from devices.reports import (
    MAX_BATCH,
    read_device_id,
    read_facts,
    read_telemetry,
    reports_in,
)
from homepot.errors import PROBLEM_CONTENT_TYPE
from homepot.parsers import MislabelledJSONParser, StrictJSONParser
from homepot.request_context import FAILURE
from homepot.schema import Problem
from homepot.viewsets import StrictViewSet

MAX_BATCH_BYTES = 10 * 1024 * 1024


class BatchParser(StrictJSONParser):
    max_bytes = MAX_BATCH_BYTES

    def load(self, body: bytes) -> Any:
        return reports_in(body)


class MislabelledBatchParser(BatchParser, MislabelledJSONParser):
    max_bytes = MislabelledJSONParser.max_bytes
    media_type = MislabelledJSONParser.media_type


class AgentViewSet(StrictViewSet):
    """A call that a device makes for itself."""

    resource_name = "agent"
    authentication_classes = [DeviceAuthentication]
    access = {"GET": Action.SPEAK, "POST": Action.SPEAK, "PATCH": Action.SPEAK}
    queryset = Device.objects.none()

    @property
    def device(self) -> Device:
        return self.actor

    def own_body(self, request: Request) -> Any:
        """The parsed body; raises PermissionDenied when it speaks for another device."""
        data = self.body(request)
        for item in data if isinstance(data, list) else [data]:
            own_id = self.device.device_id
            if isinstance(item, dict) and (read_device_id(item) or own_id) != own_id:
                raise PermissionDenied("A device speaks for itself only.")
        return data


class ProvisionViewSet(StrictViewSet):
    """A device lets itself in, with the enrolment key of its site; its key is shown once.

    One that says to be a gateway is let in as `unknown` until an operator makes a gateway of it.
    """

    resource_name = "devices"
    serializer_class = serializers.ProvisionSerializer
    authentication_classes: list[type] = []
    access = {"POST": Action.ANYONE}
    # By address only. Counted by site too, anybody could spend what its honest devices need, and
    # nobody guesses 256 random bits from however many addresses.
    throttle_classes = [RouteThrottle]
    throttle_scope = "provision"
    queryset = Device.objects.none()

    @extend_schema(
        responses={
            201: serializers.AnswerSerializer,
            (404, PROBLEM_CONTENT_TYPE): OpenApiResponse(Problem, description="No such site."),
        }
    )
    def create(self, request: Request) -> Response:
        fields = self.checked(self.body(request))
        device, key = services.enrol_device(
            site_id=fields["site_id"],
            enrolment_key=fields["bootstrap_key"],
            name=fields["device_name"],
            device_type=fields["device_type"] or "unknown",
            os_details=fields.get("os_details"),
            source=fields.get("provisioning_source") or "",
        )
        data = {
            "device_id": device.device_id,
            "api_key": key,
            "site_id": fields["site_id"],
            "created_at": device.created_at,
        }
        return Response(success("Device enrolled.", data), status=201)


class HeartbeatViewSet(AgentViewSet):
    """A device says that it is there; no health check is stored."""

    serializer_class = serializers.HeartbeatSerializer

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def create(self, request: Request) -> Any:
        return heartbeat_view(request._request)


class BatchViewSet(AgentViewSet):
    """1-1,000 check-ins: of a gateway's devices, or of a device's own past.

    A bad entry is rejected by itself; one that was sent before counts once.
    """

    serializer_class = serializers.BatchSerializer
    parser_classes: list[type[BaseParser]] = [BatchParser, MislabelledBatchParser]

    @extend_schema(responses={200: serializers.BatchAnswerSerializer})
    def create(self, request: Request) -> Response:
        if failure := request.META.pop(FAILURE, None):
            raise failure
        # Without a body there is nothing for a parser to read.
        reports, rejected = self.body(request) or reports_in(b"{}")
        refused = services.check_in_many(reporter_id=self.device.device_id, reports=reports)
        accepted = len(reports) - len(refused)
        return Response(batch_answer(accepted=accepted, rejected=rejected | refused))


class TelemetryViewSet(AgentViewSet):
    """Samples of load, one or a list; stored as health checks."""

    serializer_class = serializers.TelemetrySerializer

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def create(self, request: Request) -> Response:
        samples = as_list(self.own_body(request))
        # All or none: whoever sends again must not send twice.
        reports = {index: ("", read_telemetry(sample)) for index, sample in enumerate(samples)}
        services.check_in_many(reporter_id=self.device.device_id, reports=reports)
        data = {"device_id": self.device.device_id, "saved_count": len(samples)}
        return Response(success("Telemetry stored.", data))


class DeviceDnaViewSet(AgentViewSet):
    """What the device is made of; a pending device becomes active."""

    serializer_class = serializers.DeviceDnaSerializer

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def create(self, request: Request) -> Response:
        facts = read_facts(self.own_body(request))
        device = services.record_facts(device=self.device, facts=facts)
        return Response(success("Device data stored.", {"device_id": device.device_id}))


class PermissionsViewSet(AgentViewSet):
    """What the device allows us to do with it."""

    serializer_class = serializers.PermissionsSerializer

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def retrieve(self, request: Request, device_id: str) -> Response:
        return self._answer(self._own(device_id))

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def partial_update(self, request: Request, device_id: str) -> Response:
        data = self.body(request)
        device = self._own(device_id)
        permissions = self.checked(data)["permissions"] or {}
        return self._answer(services.grant_permissions(device=device, permissions=permissions))

    def _own(self, device_id: str) -> Device:
        if device_id != self.device.device_id:
            raise NotFound
        return self.device

    def _answer(self, device: Device) -> Response:
        granted = sorted(name for name, is_granted in device.permissions.items() if is_granted)
        data = {
            "device_id": device.device_id,
            "permissions": device.permissions,
            "capabilities": granted,
        }
        return Response({"status": "success", "data": data})


class EventViewSet(AgentViewSet):
    """Events that the agent tells of its own accord, one or a list."""

    serializer_class = serializers.EventSerializer
    kind: EventKind = EventKind.LOG  # each route names its own

    @extend_schema(responses={200: serializers.AnswerSerializer})
    def create(self, request: Request) -> Response:
        events = as_list(self.own_body(request))
        services.record_events(device=self.device, kind=self.kind, events=events)
        data = {"device_id": self.device.device_id, "saved_count": len(events)}
        return Response({"status": "success", "data": data})


class PushViewSet(AgentViewSet):
    """Older agents ask for pushed messages; work reaches them by check-in instead."""

    serializer_class = serializers.PushesSerializer

    def list(self, request: Request) -> Response:
        return Response({"pushes": []})

    @extend_schema(request=None, responses={200: serializers.AnswerSerializer})
    def create(self, request: Request) -> Response:
        return Response({"status": "success"})


def success(message: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "message": message, "data": data}


def as_list(data: Any) -> list[Any]:
    """One object or a list of 1-1,000, as a list; raises ValidationError."""
    items = data if isinstance(data, list) else [data]
    if not 1 <= len(items) <= MAX_BATCH or not all(isinstance(item, dict) for item in items):
        raise ValidationError(
            {"non_field_errors": [f"Send a JSON object, or a list of 1 to {MAX_BATCH}."]}
        )
    return items
