"""mlapi: publish a trained model, serve it by name and version, move traffic safely."""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Give `mlapi.publish` without making every import of mlapi pay for scikit-learn (PEP 562)."""
    if name == "publish":
        from mlapi.registry.publishing import publish  # noqa: PLC0415 (see above)

        return publish
    msg = f"module 'mlapi' has no attribute '{name}'"
    raise AttributeError(msg)
