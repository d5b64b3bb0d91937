"""/openapi.json, the whole API described from the schemas that check it, and /docs, a page to try it on."""

from mlapi.bootstrap import Services
from mlapi.resources.api import Api
from mlapi.resources.openapi import document, page


def install(api: Api, services: Services) -> None:
    """Put both on `api`, after everything that they describe."""
    document.install(api, services)
    page.install(api)
