"""Health at the paths that orchestrators are used to: SageMaker's /ping, Kubernetes' /livez and /readyz."""

from flask import Response
from flask_restful import Resource

from mlapi.registry.live import LiveRegistry
from mlapi.resources.api import Api, document
from mlapi.resources.errors import RETRY_SECONDS, answer
from mlapi.schemas.v2 import documents

_LIVE, _READY = documents.ServerLive(), documents.ServerReady()


def install(api: Api, live: LiveRegistry) -> None:
    """Put the probes on `api`."""
    api.add_resource(Alive, "/ping", "/livez", endpoint="alive")
    api.add_resource(Ready, "/readyz", endpoint="ready", resource_class_kwargs={"live": live})


class Alive(Resource):
    """Whether the process answers at all; its models were loaded before its first answer."""

    init_every_request = False

    def get(self) -> Response:
        """Return 200."""
        return document(_LIVE, {"live": True})


class Ready(Resource):
    """Whether every version that can be served is, as /v2/health/ready."""

    init_every_request = False

    def __init__(self, live: LiveRegistry) -> None:
        self._live = live

    def get(self) -> Response:
        """Return 200, or 503 while versions are still being loaded."""
        if self._live.is_ready():
            return document(_READY, {"ready": True, "live": True})
        response = answer(503, "models are still being loaded", ready=False)
        response.headers["Retry-After"] = RETRY_SECONDS
        return response
