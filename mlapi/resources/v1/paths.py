"""The paths of models in /v1."""

MODELS = "/v1/models"
MODEL = f"{MODELS}/<segment:name>"
WHICH = (MODEL, f"{MODEL}/versions/<segment:version>", f"{MODEL}/labels/<segment:label>")
"""A model by its name, one version of it, and the version that a label points to."""
