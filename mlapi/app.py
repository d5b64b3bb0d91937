"""The Flask application: faces, error table, access log; nothing else."""

from flask import Flask

from mlapi.bootstrap import build_services
from mlapi.config import Config
from mlapi.resources import access, errors, health, invocations, metrics, openapi, v1, v2, variants
from mlapi.resources.api import VALIDATE, Api, Segment
from mlapi.resources.application import Application


def create_app(config: Config | None = None) -> Flask:
    """Return the application for `config` (default: that of the environment).

    Models are read here and proven at the first request, or earlier where the server calls
    `app.extensions["mlapi"].start()` after its fork.
    """
    settings = Config.from_environ() if config is None else config
    services = build_services(settings, observers=(access.note,))
    app = Application("mlapi", static_folder=None)
    app.extensions["mlapi"] = services
    app.url_map.converters["segment"] = Segment
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config[VALIDATE] = settings.validate_responses == "on"
    access.install(app, services.traffic)
    app.before_request(services.start)
    variants.install(app)
    errors.install(app)
    api = Api(app)
    v1.install(api, services)
    v2.install(api, services)
    invocations.install(api, services.plane, settings.max_body_bytes, settings.invocations_model)
    health.install(api, services.live)
    metrics.install(api, services.metrics.registry)
    openapi.install(api, services)
    return app
