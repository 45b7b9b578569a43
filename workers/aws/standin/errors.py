"""A refusal in AWS's own form."""

from __future__ import annotations


class AwsError(Exception):
    """``code`` as the service model or AWS's common errors name it; ``status`` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
