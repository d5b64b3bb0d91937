"""/v1: the TensorFlow Serving REST API together with the KServe V1 protocol."""

from mlapi.bootstrap import Services
from mlapi.resources.api import Api
from mlapi.resources.v1 import explain, inference, metadata, outcomes, rollouts


def install(api: Api, services: Services) -> None:
    """Put the paths of /v1 on `api`."""
    metadata.install(api, services.plane)
    inference.install(api, services.plane, services.config.max_body_bytes)
    explain.install(api, services.plane, services.explainers, services.config.max_body_bytes)
    outcomes.install(api, services.outcomes, services.config.max_body_bytes)
    rollouts.install(api, services.desk, services.router, services.plane, services.config.max_body_bytes)
