"""Export and import of a list, on its admin pages."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from homepot.admin.pages import ModelAdmin
from homepot.enums import ImportState
from homepot.errors import DomainError
from homepot.models import DataImport
from homepot.request_context import current_request
from homepot.spreadsheets.exports import SheetFormat, export_response
from homepot.spreadsheets.forms import TOO_LARGE, UploadForm
from homepot.spreadsheets.imports import apply_steps, confirm_import, read_import
from homepot.spreadsheets.preview import preview
from homepot.spreadsheets.reading import UnreadableFileError
from homepot.spreadsheets.sheet import Sheet
from homepot.sweeps import run_steps
from homepot.uploads import is_too_large

LATEST_SHOWN = 5


class SheetAdmin(ModelAdmin):
    """Pages of a list that is a spreadsheet too."""

    sheet: ClassVar[Sheet]
    actions_list: Any = (
        {"title": "Export", "icon": "download", "items": ("export_csv", "export_xlsx")},
        "import_file",
    )

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "import/<int:import_pk>/",
            self.admin_site.admin_view(self.import_page),
            name=f"{self.opts.app_label}_{self.opts.model_name}_import",
        )
        return [page, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        page: Any = super().changelist_view(request, extra_context)
        # A file holds what the list shows, by the same filters.
        if request.GET and hasattr(page, "context_data"):
            # The pages that ask before an action have none.
            for entry in page.context_data.get("actions_list", ()):
                for link in entry.get("items", ()):
                    link["path"] += f"?{request.GET.urlencode()}"
        return page

    @action(description="As CSV", url_path="export-csv", icon="csv", permissions=["view"])
    def export_csv(self, request: HttpRequest) -> HttpResponseBase:
        return self._export(request, SheetFormat.CSV)

    @action(description="As XLSX", url_path="export-xlsx", icon="table", permissions=["view"])
    def export_xlsx(self, request: HttpRequest) -> HttpResponseBase:
        return self._export(request, SheetFormat.XLSX)

    @admin.action(description="Export as CSV", permissions=["view"])
    def export_csv_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponseBase:
        return self._export_rows(request, queryset, SheetFormat.CSV, {"chosen": queryset.count()})

    @admin.action(description="Export as XLSX", permissions=["view"])
    def export_xlsx_selected(self, request: HttpRequest, queryset: QuerySet) -> HttpResponseBase:
        return self._export_rows(request, queryset, SheetFormat.XLSX, {"chosen": queryset.count()})

    def _get_base_actions(self) -> Any:
        base: Any = super()
        exports = ("export_csv_selected", "export_xlsx_selected")
        return [*base._get_base_actions(), *map(self.get_action, exports)]

    def _export(self, request: HttpRequest, format: SheetFormat) -> HttpResponseBase:
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as error:
            raise BadRequest("The list cannot be filtered like this.") from error
        filters = {
            name: values[0] if len(values) == 1 else values for name, values in request.GET.lists()
        }
        return self._export_rows(request, rows, format, filters)

    def _export_rows(
        self, request: HttpRequest, rows: QuerySet, format: SheetFormat, filters: dict[str, Any]
    ) -> HttpResponseBase:
        try:
            return export_response(
                self.sheet, rows, format=format, user=request.user, filters=filters
            )
        except DomainError as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect(f"{self._list_url}?{request.GET.urlencode()}")

    @action(description="Import", url_path="import", icon="upload", permissions=["change"])
    def import_file(self, request: HttpRequest) -> HttpResponse:
        """The page that takes a file; the preview of what it would change comes next."""
        form = UploadForm()
        if is_too_large(request):
            form.errors["file"] = form.error_class([TOO_LARGE])
        elif request.method == "POST":
            form = UploadForm(request.POST, request.FILES)
        if form.is_valid():
            file = form.cleaned_data["file"]
            try:
                data_import = read_import(
                    sheet=self.sheet, file=file, filename=file.name, user=request.user
                )
            except UnreadableFileError as refusal:
                form.add_error("file", str(refusal))
            else:
                return redirect(self._import_url(data_import))
        latest = DataImport.objects.filter(user=request.user.pk, sheet=self.sheet.name)
        return self._page(
            request,
            "homepot/admin/import.html",
            title=f"Import {self.sheet.name}",
            sheet=self.sheet,
            form=form,
            latest=[
                (self._import_url(data_import), data_import)
                for data_import in latest.exclude(state=ImportState.READING).order_by("-pk")[
                    :LATEST_SHOWN
                ]
            ],
            example=reverse(f"{self._names}_export_csv"),
        )

    def import_page(self, request: HttpRequest, import_pk: int) -> HttpResponse:
        """What an upload would change, until it is confirmed; then how far it is."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        data_import = self._own_import(request, import_pk)
        if request.method == "POST":
            if data_import.state != ImportState.APPLYING:
                try:
                    confirm_import(data_import=data_import, context=current_request.get())
                except DomainError as refusal:
                    self.message_user(request, str(refusal), messages.ERROR)
                    return redirect(self._import_url(data_import))
            # What is small is done at once, and needs no worker.
            run_steps(apply_steps(data_import.pk))
            return redirect(self._import_url(data_import))
        context = preview(self.sheet, data_import, request.GET)
        if "progress" in request.GET:
            return TemplateResponse(request, "homepot/admin/import_progress.html", context)
        return self._page(
            request,
            "homepot/admin/import_preview.html",
            title=f"Import {self.sheet.name}: {data_import.filename}",
            upload_url=reverse(f"{self._names}_import_file"),
            **context,
        )

    def _own_import(self, request: HttpRequest, pk: int) -> DataImport:
        """What others uploaded may be about things that this one may not know of."""
        own = DataImport.objects.filter(user=request.user.pk, sheet=self.sheet.name)
        data_import = own.exclude(state=ImportState.READING).filter(pk=pk).first()
        if data_import is None:
            raise Http404
        return data_import

    def _page(
        self, request: HttpRequest, template: str, *, title: str, **context: Any
    ) -> TemplateResponse:
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "list_url": self._list_url,
                "title": title,
                **context,
            },
        )

    @property
    def _names(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}"

    @property
    def _list_url(self) -> str:
        return reverse(f"{self._names}_changelist")

    def _import_url(self, data_import: DataImport) -> str:
        return reverse(f"{self._names}_import", args=[data_import.pk])
