"""skops files: types are looked at before anything is built (https://skops.readthedocs.io, Secure persistence)."""

import io
import zipfile
from importlib import import_module
from typing import Any

from mlapi.runtimes.pickled import UnloadableError

CLASSES = "sklearn."
NOT_FOR_MODELS = ("sklearn.datasets.", "sklearn.externals.", "sklearn.utils.")
FUNCTIONS = ("sklearn.feature_selection.", "sklearn.metrics.")
NAMED = {
    "numpy.dtype", "scipy.interpolate._bsplines.BSpline", "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "sklearn.cluster._kmeans._kmeans_single_lloyd", "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.utils._bunch.Bunch",
    *(f"numpy.{name}" for name in ("mean", "median", "min", "max", "amin", "amax", "sum", "std", "var", "nanmean",
                                   "nanmedian", "nanmin", "nanmax", "clip", "nan_to_num", "round")),
}  # fmt: skip
"""What models hold of numpy and scipy. Their packages as a whole must not be trusted: a FunctionTransformer
calls the function it names, and `numpy.testing.measure` runs its argument."""
LARGEST_INFLATED = 8 * 2**30
LARGEST_RATIO = 200
MOST_ENTRIES = 100_000


def dump(model: object) -> bytes:
    """Return `model` as a skops file."""
    from skops import io as sio  # noqa: PLC0415 (1.6 s that servers of other formats must not pay)

    return bytes(sio.dumps(model, compression=zipfile.ZIP_DEFLATED))


def load(data: bytes) -> Any:  # noqa: ANN401 (any estimator)
    """Return the object in a skops file, built of scikit-learn, numpy and scipy types alone.

    Raises UnloadableError on other types, naming them, and on an archive that inflates beyond reason.
    """
    from skops import io as sio  # noqa: PLC0415 (see dump)

    _refuse_bomb(data)
    try:
        types = sio.get_untrusted_types(data=data)
        _refuse_foreign(types)
        return sio.loads(data, trusted=types)
    except (UnloadableError, MemoryError):
        raise
    except Exception as error:  # skops raises what the constructors of the types raise
        msg = f"it is not a skops file that can be read here ({type(error).__name__})"
        raise UnloadableError(msg) from error


def _refuse_foreign(types: list[str]) -> None:
    foreign = [name for name in types if not _is_trusted(name)]
    if foreign:
        raise UnloadableError(f"it holds what is not a part of scikit-learn's models: {', '.join(foreign[:5])}")


def _is_trusted(dotted: str) -> bool:
    if dotted in NAMED or dotted.startswith(FUNCTIONS):
        return True
    if not dotted.startswith(CLASSES) or dotted.startswith(NOT_FOR_MODELS):
        return False
    module, _, name = dotted.rpartition(".")
    try:
        return isinstance(getattr(import_module(module), name), type)
    except (ImportError, AttributeError):
        return False


def _refuse_bomb(data: bytes) -> None:
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile as error:
        msg = "it is not a skops file: no zip archive"
        raise UnloadableError(msg) from error
    inflated = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES or inflated > min(LARGEST_INFLATED, LARGEST_RATIO * len(data) + 2**20):
        msg = f"it inflates from {len(data)} to {inflated} bytes in {len(entries)} entries, which no model does"
        raise UnloadableError(msg)
