"""Files that come with a form, when the disk for temporary files is full."""

from __future__ import annotations

import errno
import io
from contextlib import suppress
from typing import Any, NoReturn

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class _NoRoom(io.RawIOBase):
    """Stands for a file that could not be kept: whoever reads it meets the error that the disk gave."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> NoReturn:
        raise self._error

    def readinto(self, buffer: Any) -> NoReturn:
        raise self._error


class TemporaryFiles(TemporaryFileUploadHandler):
    """Django's own, but a full disk costs only the file: the form's other fields are read, and can be shown again."""

    _refused: OSError | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self._refused = None
        try:
            super().new_file(*args, **kwargs)
        except OSError as error:
            self._refuse(error)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self._refused is None:
            try:
                super().receive_data_chunk(raw_data, start)
            except OSError as error:
                self._refuse(error)
                # What was written of it makes room for others.
                with suppress(OSError):
                    self.file.close()

    def file_complete(self, file_size: int) -> UploadedFile | None:
        if self._refused is None:
            try:
                self.file.flush()
                return super().file_complete(file_size)
            except OSError as error:
                self._refuse(error)
        assert self._refused is not None
        return UploadedFile(_NoRoom(self._refused), self.file_name, self.content_type, file_size, self.charset)

    def _refuse(self, error: OSError) -> None:
        if error.errno not in _NO_ROOM:
            raise error
        self._refused = error
