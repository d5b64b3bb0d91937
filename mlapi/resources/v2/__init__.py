"""/v2: the Open Inference Protocol with Triton's extensions."""

from mlapi.bootstrap import Services
from mlapi.resources.api import Api
from mlapi.resources.v2 import inference, metadata, repository, statistics


def install(api: Api, services: Services) -> None:
    """Put the paths of /v2 on `api`."""
    metadata.install(api, services.plane)
    inference.install(api, services.plane, services.config.max_body_bytes)
    repository.install(api, services.repository, services.config.max_body_bytes)
    statistics.install(api, services.plane, services.files)
