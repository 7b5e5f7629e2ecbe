"""Where the processes of a web server keep what each of them counts.

Nothing of Prometheus may be imported before the folder is known: its library looks once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Where the library looks for it.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def shared_folder() -> Iterator[None]:
    """Let the processes that start within this block share what they count.

    A new folder each time: what a server counted before is no part of what it counts now.
    """
    with tempfile.TemporaryDirectory(prefix="homepot-metrics-") as folder:
        os.environ[VARIABLE] = folder
        yield
