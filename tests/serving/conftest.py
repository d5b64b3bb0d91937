"""What the tests of serving share."""

from pathlib import Path

import pytest

from mlapi.registry.live import LiveRegistry
from mlapi.registry.store import Store


@pytest.fixture(scope="module")
def live(registry: Path) -> LiveRegistry:
    """Return the session's models, loaded once and followed by no thread."""
    live = LiveRegistry(Store(registry))
    live.refresh()
    return live
