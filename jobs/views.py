"""The REST API of jobs and their executions."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.policy import READ, READ_AND_OPERATE
from accounts.presumed import PresumedUser
from devices.models import Device
from homepot.compiled import Asked
from homepot.fields import validated
from homepot.idempotency import HEADER, answer_once
from homepot.rows import pk_of
from homepot.viewsets import ResourceViewSet, StrictViewSet, creates, reads
from jobs import services
from jobs.filters import ExecutionFilter, JobFilter, SiteJobFilter
from jobs.models import Job, JobExecution
from jobs.open_work import fleet_work, site_work
from jobs.querysets import JobQuerySet
from jobs.serializers import (
    ExecutionSerializer,
    FleetWorkSerializer,
    JobSerializer,
    ListedJobSerializer,
    NewJobSerializer,
    SiteJobSerializer,
    SiteWorkSerializer,
)
from jobs.usual import usual_job
from sites.models import Site
from sites.views import find_site

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Sent again with the same body within a day, the job is made once.",
)


class JobViewSet(ResourceViewSet):
    """What devices were told to do. Jobs are never changed, only cancelled or retried."""

    resource_name = "jobs"
    serializer_class = JobSerializer
    access = READ_AND_OPERATE
    filterset_class: Any = JobFilter
    lookup_field = "job_id"
    queryset = Job.objects.none()
    new_job_serializer: Any = NewJobSerializer

    @classmethod
    def rows(cls, asked: Asked) -> JobQuerySet:
        return Job.objects.visible_to(asked.user)

    def get_serializer_class(self) -> Any:
        return ListedJobSerializer if self.action == "list" else JobSerializer

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=NewJobSerializer, responses={201: JobSerializer}
    )
    @creates
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.made_once(request)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """End what no device has yet, and ask the others to stop."""
        self.body(request)
        job = services.cancel_job(job=self.get_object(), actor=self.actor)
        return Response(self.row_of(pk=job.pk))

    @extend_schema(parameters=[IDEMPOTENCY_KEY], request=None, responses={201: JobSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A new job for the devices that failed or never began."""
        data = self.body(request)

        def retry() -> tuple[int, dict[str, Any]]:
            job = services.retry_job(job=self.get_object(), actor=self.actor)
            return 201, self.row_of(pk=job.pk)

        return answer_once(request, data, retry)

    def site(self) -> Site | None:
        """The one of the path, where the path names one."""
        return None

    def shown_new(self, created: Job) -> dict[str, Any]:
        if created.json_as_stored is None:
            return self.row_of(pk=created.pk)
        return {**self.shape.of(created), **created.json_as_stored}

    def made(self, data: Any) -> dict[str, Any]:
        site = self.site()
        serializer = self.new_job_serializer(
            data=data, context={"request": self.request, "site": site}
        )
        return self.shown_new(services.create_job(actor=self.actor, **validated(serializer)))

    def made_once(self, request: Request) -> Response:
        data = self.body(request)
        return answer_once(request, data, lambda: (201, self.made(data)))


class SiteJobViewSet(JobViewSet):
    """The jobs of one site."""

    filterset_class = SiteJobFilter
    asks_before_creating = True  # for the site
    new_job_serializer = SiteJobSerializer

    @classmethod
    def rows(cls, asked: Asked) -> JobQuerySet:
        site = pk_of(Site.objects.filter(site_id=asked["site_id"]))
        return super().rows(asked).filter(site=site)

    @reads
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        page = self.page_of()
        if not page["jobs"]:  # a job shows that its site exists
            self.site()
        return page

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY], request=SiteJobSerializer, responses={201: JobSerializer}
    )
    @creates
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.made_once(request)

    def site(self) -> Site:
        return find_site(self.asked())

    def made(self, data: Any) -> dict[str, Any]:
        caller = self.request.user
        fields = usual_job(data) if connection.vendor == "postgresql" else None
        if fields is None or not isinstance(caller, PresumedUser):
            return super().made(data)
        site_id = self.kwargs["site_id"]
        return self.shown_new(services.create_usual_job(site_id=site_id, actor=caller, **fields))


class ExecutionViewSet(StrictViewSet):
    """Executions, newest first; what time has ended has ended, swept or not."""

    resource_name = "executions"
    serializer_class = ExecutionSerializer
    access = READ
    filterset_class = ExecutionFilter
    queryset = JobExecution.objects.none()

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        return JobExecution.objects.visible_to(asked.user).with_status(asked.now)


class JobExecutionViewSet(ExecutionViewSet):
    """What became of a job at each of its devices."""

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        job = pk_of(Job.objects.filter(job_id=asked["job_id"]))
        return super().rows(asked).filter(job=job)

    @reads
    def list(self, request: Request, job_id: str) -> Any:
        page = self.page_of()
        if not page["executions"]:  # an execution shows that its job exists
            get_object_or_404(Job.objects.visible_to(request.user), job_id=job_id)
        return page


class DeviceExecutionViewSet(ExecutionViewSet):
    """What one device was told to do."""

    @classmethod
    def rows(cls, asked: Asked) -> QuerySet:
        device = pk_of(Device.objects.filter(device_id=asked["device_id"]))
        return super().rows(asked).filter(device=device)

    @reads
    def list(self, request: Request, device_id: str) -> Any:
        page = self.page_of()
        if not page["executions"]:  # an execution shows that its device exists
            get_object_or_404(Device.objects.active().visible_to(request.user), device_id=device_id)
        return page


class SiteWorkViewSet(StrictViewSet):
    """How much work is under way at one site."""

    resource_name = "site_work"
    serializer_class = SiteWorkSerializer
    access = READ
    queryset = Site.objects.none()

    def retrieve(self, request: Request, site_id: str) -> Response:
        site = get_object_or_404(Site.objects.active().visible_to(request.user), site_id=site_id)
        return Response(site_work(site, timezone.now()))


class FleetWorkViewSet(StrictViewSet):
    """How much work is under way, and where."""

    resource_name = "fleet_work"
    serializer_class = FleetWorkSerializer
    access = READ
    queryset = Job.objects.none()

    def retrieve(self, request: Request) -> Response:
        executions = JobExecution.objects.visible_to(request.user)
        return Response(fleet_work(executions, timezone.now()))
