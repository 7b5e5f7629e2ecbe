"""Uploads that are too large reach neither the memory nor the disk."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import HttpRequest

MAX_UPLOAD_BYTES = 20 * 2**20
# What surrounds the file in its request.
FORM_BYTES = 2**16


def is_too_large(request: HttpRequest) -> bool:
    return int(request.META.get("CONTENT_LENGTH") or 0) > MAX_UPLOAD_BYTES + FORM_BYTES


class LimitedUploadHandler(FileUploadHandler):
    """Comes before those that keep files, and has them skip what `is_too_large`.

    The view then finds no file, and can say why.
    """

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.is_refused = self.request is not None and is_too_large(self.request)

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self.is_refused:
            raise SkipFile

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data

    def file_complete(self, file_size: int) -> None:
        return None
