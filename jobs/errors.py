"""What the present state of a job or command can refuse."""

from __future__ import annotations

from homepot.errors import DomainError


class NoTargetError(DomainError):
    code = "no_target"


class JobEndedError(DomainError):
    code = "job_ended"


class JobNotEndedError(DomainError):
    code = "job_not_ended"


class NothingToRetryError(DomainError):
    code = "nothing_to_retry"


class OutOfScopeError(DomainError):
    code = "out_of_scope"
    status = 403


class UnknownCommandError(DomainError):
    """Not there, or another device's."""

    code = "not_found"
    status = 404


class CommandRefusedError(DomainError):
    """The command is not in a state in which its device may say this."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
