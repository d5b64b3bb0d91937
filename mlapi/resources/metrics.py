"""GET /metrics: the metrics of the server in the text formats of Prometheus and OpenMetrics."""

from flask import Response, request
from flask_restful import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from mlapi.resources.api import Api
from mlapi.resources.compression import encoded

OPENMETRICS = "application/openmetrics-text"
VERSION = "; version=1.0.0"


def install(api: Api, registry: CollectorRegistry) -> None:
    """Put what `registry` collects on `api`."""
    api.add_resource(Metrics, "/metrics", endpoint="metrics", resource_class_kwargs={"registry": registry})


class Metrics(Resource):
    """Metrics for Prometheus, over all workers."""

    init_every_request = False

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def get(self) -> Response:
        """Return every metric as text, in the format that is asked for: that of Prometheus, or OpenMetrics."""
        wanted = any(kind.startswith(OPENMETRICS) and quality for kind, quality in request.accept_mimetypes)
        write, content_type = choose_encoder(OPENMETRICS + VERSION if wanted else "")  # it trusts a caller's version
        body, encoding = encoded(write(self._registry), request.headers.get("Accept-Encoding"))
        response = Response(body, content_type=content_type)
        if encoding is not None:
            response.headers["Content-Encoding"] = encoding
        response.headers["Vary"] = "Accept, Accept-Encoding"
        return response
