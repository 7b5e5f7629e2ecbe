"""The calls by which agents fetch their work and tell what became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import Action
from devices.field_reader import FieldReader
from devices.protocol.serializers import AnswerSerializer, CheckInSerializer
from devices.protocol.views import AgentViewSet, success
from homepot.text import MAX_TEXT_LENGTH
from jobs import services
from jobs.enums import REPORTABLE, ExecutionStatus
from jobs.models import Job, JobExecution
from jobs.protocol import serializers
from jobs.protocol.check_in import check_in_view
from jobs.serializers import MAX_PAYLOAD_BYTES

MAX_ATTEMPT = 32_767
# A result beyond this is left out where a report is kept that came too late.
KEPT_RESULT_BYTES = 4096


class CheckInViewSet(AgentViewSet):
    """A device says that it is there, and how it is; the answer brings its work."""

    serializer_class = CheckInSerializer

    @extend_schema(responses={200: serializers.CheckedInSerializer})
    def create(self, request: Request) -> Any:
        # The short path of the middleware serves this call; here the schema finds it.
        return check_in_view(request._request)


class PendingViewSet(AgentViewSet):
    """The work that waits for the device; what it is given is offered again if it says nothing."""

    serializer_class = serializers.PendingCommandSerializer

    @extend_schema(responses={200: serializers.PendingCommandSerializer(many=True)}, filters=False)
    def list(self, request: Request) -> Response:
        work = services.offer_work(self.device.pk, now=timezone.now())
        commands = [
            {
                "command_id": command.command_id,
                "command_type": command.command_type,
                "payload": command.payload,
                "status": ExecutionStatus.SENT,
                "created_at": command.created_at,
            }
            for command in work.commands
        ]
        # An offer must never be mistaken for the last one.
        return Response(commands, headers={"Cache-Control": "no-store"})


class CommandViewSet(AgentViewSet):
    """What a device says of one command."""

    access = {"PUT": Action.SPEAK, "POST": Action.SPEAK}
    queryset = JobExecution.objects.none()

    @extend_schema(request=serializers.AcknowledgementSerializer, responses={200: AnswerSerializer})
    def acknowledge(self, request: Request, device_id: str, command_id: str) -> Response:
        """The device begins: the command is never offered again."""
        data = self.own_body(request)
        if device_id != self.device.device_id:
            raise NotFound
        reader = FieldReader(data)
        attempt = reader.integer("attempt", 0, MAX_ATTEMPT)
        reader.finish()
        execution = services.acknowledge(
            device=self.device, command_id=UUID(command_id), attempt=attempt
        )
        return Response(success("Command acknowledged.", _told(execution)))

    @extend_schema(request=serializers.OutcomeSerializer, responses={200: AnswerSerializer})
    def report(self, request: Request, command_id: str) -> Response:
        """The command ended; the same may be said again."""
        report = read_outcome(self.own_body(request))
        execution = services.report_outcome(
            device=self.device, command_id=UUID(command_id), report=report
        )
        return Response(success("Status stored.", _told(execution)))


class DeviceTaskViewSet(AgentViewSet):
    """Work that a device started by itself."""

    serializer_class = serializers.DeviceTaskSerializer
    access = {"PUT": Action.SPEAK, "POST": Action.SPEAK}
    queryset = Job.objects.none()

    @extend_schema(responses={201: AnswerSerializer})
    def create(self, request: Request) -> Response:
        """It began, and may have ended already."""
        data = self.own_body(request)
        reader = FieldReader(data)
        action = reader.text("action", MAX_TEXT_LENGTH)
        reader.finish()
        if not action:
            raise ValidationError({"action": ["Say what the device does."]})
        outcome = read_outcome(data, is_final=False)
        if outcome.status == ExecutionStatus.CANCELLED:
            raise ValidationError({"status": ["Nobody can have cancelled what only begins."]})
        payload = data.get("payload")
        job = services.begin_device_task(
            device=self.device,
            description=action,
            payload=payload if isinstance(payload, dict) and _fits(payload) else {},
            # What only begins has had no other attempt.
            report=replace(outcome, attempt=None),
        )
        return Response({"status": "success", "data": _task(job)}, status=201)

    @extend_schema(responses={200: AnswerSerializer})
    def update(self, request: Request, job_id: str) -> Response:
        """How it goes on, or how it ended."""
        outcome = read_outcome(self.own_body(request), is_final=False)
        job = services.report_device_task(device=self.device, job_id=job_id, report=outcome)
        return Response({"status": "success", "data": _task(job)})


def read_outcome(data: Any, *, is_final: bool = True) -> services.CommandReport:
    """The report in `data`; raises ValidationError by field.

    Unless it must be final, words that we do not know mean that the work goes on.
    """
    reader = FieldReader(data)
    word = reader.text("status", 20).lower()
    if word in REPORTABLE:
        status = ExecutionStatus(word)
    else:
        status = ExecutionStatus.ACKNOWLEDGED
        if is_final:
            reader.errors["status"] = ["Say completed, failed or cancelled."]
    error_message = reader.text("error_message", MAX_TEXT_LENGTH)
    error_code = reader.text("error_code", 50)
    attempt = reader.integer("attempt", 0, MAX_ATTEMPT)
    executed_at = reader.time("executed_at")
    reader.finish()
    result = data.get("result")
    if not _fits(result):
        # The outcome counts more than its words.
        result = {"omitted_bytes": len(orjson.dumps(result))}
    told = {"status": word, "error_code": error_code, "error_message": error_message[:500]}
    if len(orjson.dumps(result)) <= KEPT_RESULT_BYTES:
        told["result"] = result
    return services.CommandReport(
        status=status,
        result=result,
        error_code=error_code,
        error_message=error_message,
        executed_at=executed_at,
        attempt=attempt,
        told=told,
    )


def _fits(value: Any) -> bool:
    return len(orjson.dumps(value)) <= MAX_PAYLOAD_BYTES


def _told(execution: JobExecution) -> dict[str, Any]:
    return {"command_id": execution.execution_id, "status": execution.status}


def _task(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "action": job.description,
        "status": job.status,
        "priority": job.get_priority_display(),
        "created_at": job.created_at,
    }
