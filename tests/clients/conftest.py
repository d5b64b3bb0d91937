"""Two workers over the contract's models, for clients that are programs of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.conftest import contract_registry as contract_registry
from tests.server.conftest import Server
from tests.server.conftest import serve as serve


@pytest.fixture
def two_workers(serve: Callable[..., Server], contract_registry: Path) -> Server:
    """Return a server of two workers."""
    return serve(contract_registry, MLAPI_WORKERS="2")
