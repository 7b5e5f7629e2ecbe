"""What somebody uploads."""

from __future__ import annotations

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from homepot.uploads import MAX_UPLOAD_BYTES

TOO_LARGE = f"The file is larger than {MAX_UPLOAD_BYTES // 2**20} MiB: import it in parts."


class FileInput(forms.FileInput):
    template_name = "homepot/widgets/file.html"


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text=f"CSV or XLSX, at most {MAX_UPLOAD_BYTES // 2**20} MiB.",
        error_messages={
            "required": "Choose a file.",
            "empty": "The file is empty.",
            "max_length": "The name of the file is too long.",
        },
        widget=FileInput(attrs={"accept": ".csv,.xlsx", "class": "homepot-file"}),
    )

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_UPLOAD_BYTES:
            raise ValidationError(TOO_LARGE)
        return file
