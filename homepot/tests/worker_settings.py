"""Settings of the worker processes that tests start."""

from __future__ import annotations

from homepot.settings import *  # noqa: F403

SWEEPS = {
    "homepot.tests.work.quick": 0.2,
    "homepot.tests.work.failing": 0.2,
    "homepot.tests.work.endless": 0.2,
    "homepot.tests.work.slow": 0.2,
}
SWEEP_LEASE_SECONDS = 3
PULSE_SECONDS = 0.2
