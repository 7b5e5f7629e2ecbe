"""How an agent comes by its credential: it enrols, or an operator gave it one."""

from __future__ import annotations

import argparse
import logging
import threading
from dataclasses import replace

from devices.agent.client import Credential, enrol
from devices.agent.errors import AgentError, RefusedError, RequestError
from devices.agent.host import os_details
from devices.agent.options import DEVICE_KEY_VARIABLE, ENROLMENT_KEY_VARIABLE, read_key
from devices.agent.transport import Transport

logger = logging.getLogger(__name__)


def check_stored(stored: Credential, options: argparse.Namespace) -> Credential:
    """The stored credential, with the key given on the command line if there is one.

    Raises AgentError when the command line asks for another device.
    """
    asked = [
        ("id", options.device_id, stored.device_id),
        ("site", options.site, stored.site_id),
    ]
    for word, wanted, known in asked:
        if wanted and known and wanted != known:
            raise AgentError(
                f"{options.state_dir} is the state of device {stored.device_id}, whose {word} is "
                f"{known} and not {wanted}; give another device its own --state-dir."
            )
    key = read_key(DEVICE_KEY_VARIABLE, options.device_key_file)
    return replace(stored, api_key=key) if options.device_id and key else stored


def first_credential(
    options: argparse.Namespace, transport: Transport, stopping: threading.Event
) -> Credential | None:
    """The one given, or from enrolling; None when told to stop. Raises AgentError."""
    if options.device_id:
        key = read_key(DEVICE_KEY_VARIABLE, options.device_key_file)
        if not key:
            raise AgentError(
                f"Give the key of device {options.device_id} in {DEVICE_KEY_VARIABLE} or "
                "--device-key-file."
            )
        return Credential(options.device_id, key)
    key = options.enrolment_key or read_key(ENROLMENT_KEY_VARIABLE, options.enrolment_key_file)
    if not options.site or not key:
        raise AgentError(
            f"This machine is not enrolled yet: give --site, and its enrolment key in "
            f"{ENROLMENT_KEY_VARIABLE} or --enrolment-key-file."
        )
    while not stopping.is_set():
        try:
            return enrol(
                transport,
                site_id=options.site,
                enrolment_key=key,
                name=options.name,
                device_type=options.type,
                os_details=os_details(),
            )
        except RefusedError as error:
            if error.retry_after is None:
                raise AgentError(enrolment_refused(error, options.url)) from None
            logger.warning("%s Trying again in %.0f s.", error, error.retry_after)
            stopping.wait(error.retry_after)
        except RequestError as error:
            raise AgentError(str(error)) from None
    return None


def enrolment_refused(error: RefusedError, url: str) -> str:
    """The server's reason, and what would help."""
    if error.code == "not_found":  # the path; an unknown site has a code of its own
        return f"{url} is not where a HOMEPOT server has its API: leave out the path."
    if error.status == 409:
        return (
            f"{error} Then start with --device-id and the new key in {DEVICE_KEY_VARIABLE}, or "
            "choose another --name."
        )
    if error.errors:
        details = "; ".join(
            f"{name}: {' '.join(map(str, words))}" for name, words in error.errors.items()
        )
        return f"The server does not take this enrolment: {details}"
    return str(error)
