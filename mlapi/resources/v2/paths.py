"""The paths of models in /v2."""

MODELS = "/v2/models"
MODEL = f"{MODELS}/<segment:name>"
WHICH = (MODEL, f"{MODEL}/versions/<segment:version>")
"""A model by its name, and one version of it."""


def under(verb: str) -> tuple[str, ...]:
    """Return both paths with a last segment."""
    return tuple(f"{path}/{verb}" for path in WHICH)
