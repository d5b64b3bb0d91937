"""joblib files: written, read and audited. The one module of mlapi that unpickles."""

import io
import pickle
import re
import sys
from typing import Any

MAIN = "__main__"
_NO_ATTRIBUTE = re.compile(r"Can't get attribute '(.+)' on <module '([^']+)'")


class UnloadableError(Exception):
    """The bytes do not become a model in this process; says why in one sentence."""


def dump(model: object) -> bytes:
    """Return `model` as an uncompressed joblib file."""
    import joblib  # noqa: PLC0415 (see load)

    sink = io.BytesIO()
    joblib.dump(model, sink)
    return sink.getvalue()


def load(data: bytes) -> Any:  # noqa: ANN401 (a pickle holds anything)
    """Return the object in a joblib file. Runs what the file says: only for verified bytes.

    Raises UnloadableError where classes are missing here, or the bytes are no joblib file.
    """
    import joblib  # noqa: PLC0415 (versions with a plan are served without it)

    try:
        return joblib.load(io.BytesIO(data))
    except AttributeError as error:
        raise UnloadableError(_missing(error)) from error
    except ModuleNotFoundError as error:
        msg = f"it needs the module '{error.name}', which is not installed here"
        raise UnloadableError(msg) from error
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # unpickling runs foreign constructors, which may raise anything
        msg = f"it cannot be unpickled here ({type(error).__name__})"
        raise UnloadableError(msg) from error


def _missing(error: AttributeError) -> str:
    found = _NO_ATTRIBUTE.match(str(error))  # from protocol 4 on pickle raises it without `name` and `obj`
    name, module = found.groups() if found else (error.name, getattr(error.obj, "__name__", None))
    if name is None or module is None:
        return f"it cannot be unpickled here ({type(error).__name__})"
    return f"it needs '{name}' from module '{module}', which has none here"


class Audit(pickle.Pickler):
    """Walks an object as pickle would and notes what another process could not import.

    `unimportable` holds dotted names; `modules` the top-level modules a reader needs; `size` the bytes
    of the uncompressed pickle, which is close to what the model takes in memory.
    """

    def __init__(self, model: object) -> None:
        self._sink = _Counter()
        super().__init__(self._sink, protocol=5)
        self.unimportable: list[str] = []
        self.modules: set[str] = set()
        try:
            self.dump(model)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if not self.unimportable:
                self.unimportable.append(str(error))

    @property
    def size(self) -> int:
        """Bytes of the uncompressed pickle."""
        return self._sink.size

    def persistent_id(self, obj: object) -> None:
        """Note classes and functions, which pickle stores as a module and a name."""
        if not isinstance(obj, type | type(_importable)):
            return
        module, name = obj.__module__, obj.__qualname__
        self.modules.add((module or "").split(".")[0])
        dotted = f"{module}.{name}"
        if not _importable(obj) and dotted not in self.unimportable:
            self.unimportable.append(dotted)


def _importable(obj: Any) -> bool:  # noqa: ANN401 (a class or a function)
    if obj.__module__ == MAIN:
        return False
    found: Any = sys.modules.get(obj.__module__)
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj


class _Counter:
    """A file that keeps only how much was written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 (bytes, or a pickle buffer)
        count = memoryview(data).nbytes
        self.size += count
        return count
