from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from devices.agent.transport import Transport
from devices.models import Device
from devices.tests.agent.trial import Trial
from devices.tests.factories import make_device


@pytest.fixture
def try_out() -> Iterator[Callable[..., Trial]]:
    """`try_out(url)` is an agent that speaks to `url`, of a new device unless one is given."""
    with ExitStack() as stack:

        def start(url: str, *, device: Device | None = None, **options: Any) -> Trial:
            transport = stack.enter_context(closing(Transport(url, timeout=5)))
            return Trial(transport, device or make_device(), **options)

        yield start
