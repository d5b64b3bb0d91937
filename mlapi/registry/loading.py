"""From a version on disk to a model that answers: verify, then parse, then prove.

The order is the point: size and digest of the very bytes that are parsed, the manifest's schema, and
only then the one call that runs the file's code; golden rows last, in the process that will serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlapi.errors import InvalidRequest, MlapiError, ModelFailed, VersionRefused
from mlapi.inference.faults import quoted
from mlapi.inference.signature import Signature
from mlapi.inference.values import Array, InferenceResponse, rows_of
from mlapi.registry import reference
from mlapi.registry.manifest import Manifest
from mlapi.registry.reference import Reference, RowsError
from mlapi.registry.store import Store, UnsafeFileError
from mlapi.runtimes.formats import FORMATS, UnloadableError, parse, predictor
from mlapi.runtimes.predictor import Predictor

LARGEST_ARTIFACT = 8 * 2**30


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A version in memory: its manifest, the predictor, and its golden rows."""

    manifest: Manifest
    predictor: Predictor
    reference: Reference

    @property
    def row_independent(self) -> bool:
        """Whether the answer to a row is the same, to the last bit, whatever rows stand beside it."""
        return False  # BLAS adds in another order for one row than for several

    def expected_ns(self, rows: int) -> int | None:  # noqa: ARG002 (a plan will know)
        """Return how many nanoseconds `predict` should take for `rows` rows; None where nobody can promise it."""
        return None

    @property
    def signature(self) -> Signature:
        """What the version takes and answers."""
        return self.manifest.signature

    def outputs(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Return the outputs to compute: those named, the first for (), all for None.

        Raises InvalidRequest for a name that is no output of this version.
        """
        names = self.signature.output_names
        if wanted is None:
            return names
        unknown = [name for name in wanted if name not in names]
        if unknown:
            known = ", ".join(names)
            raise InvalidRequest([f"output {quoted(name)} is unknown; the outputs are {known}" for name in unknown])
        return tuple(wanted) or names[:1]

    def predict(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
        """Return the named outputs, `[n, k]` as the signature has them, for inputs of `n` rows that conform to it.

        Raises what the predictor raises, and ModelFailed where the model answers more or fewer rows or columns.
        """
        answers = self.predictor.predict(inputs, outputs)
        rows = rows_of(inputs)
        for spec in self.signature.outputs:
            if spec.name in answers and answers[spec.name].shape != (rows, spec.width):
                got, wanted = list(answers[spec.name].shape), [rows, spec.width]
                raise ModelFailed(f"the model's '{spec.name}' has shape {got}; expected {wanted}")
        return answers

    def response(self, outputs: Mapping[str, Array], request_id: str | None) -> InferenceResponse:
        """Return the answer of this version that holds `outputs`."""
        manifest = self.manifest
        datatypes = {spec.name: spec.datatype for spec in manifest.signature.outputs}
        return InferenceResponse(manifest.name, manifest.version, outputs, datatypes, request_id, manifest.classes)

    def prove(self) -> None:
        """Answer the golden rows and compare; this is also the warm-up. Raises VersionRefused."""
        try:
            answers = self.predictor.predict(self.reference.inputs, self.signature.output_names)
        except MlapiError as error:
            raise self._refused(f"it fails on its own reference rows: {error}") from error
        wrong = reference.differences(answers, self.reference.outputs)
        if wrong:
            raise self._refused(f"its answers are not those it was published with: {'; '.join(wrong)}")

    def _refused(self, reason: str) -> VersionRefused:
        return VersionRefused(self.manifest.name, self.manifest.version, reason)


def load(store: Store, name: str, version: int, largest: int = LARGEST_ARTIFACT) -> LoadedModel:
    """Return a version verified and parsed, not yet proven.

    Raises VersionRefused with the reason at the first check that fails; nothing is parsed before all
    files have the size and digest that the manifest gives them.
    """
    manifest, files = check(store, name, version, largest)
    return parsed(manifest, files)


def check(
    store: Store, name: str, version: int, largest: int = LARGEST_ARTIFACT,
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest and the verified bytes of all its files; parses nothing. Raises VersionRefused."""
    manifest = store.manifest(name, version)
    try:
        return manifest, {entry.name: _verified(store, manifest, entry.name, largest) for entry in manifest.files}
    except FileNotFoundError as error:
        raise VersionRefused(name, version, "a file that its manifest lists is missing") from error
    except MemoryError as error:
        raise VersionRefused(name, version, "there is not enough memory to read it") from error
    except UnsafeFileError as error:
        raise VersionRefused(name, version, str(error)) from error


def parsed(manifest: Manifest, files: Mapping[str, bytes]) -> LoadedModel:
    """Return the model in files that are verified; this runs their code. Raises VersionRefused."""
    name, version = manifest.name, manifest.version
    try:
        rows = reference.loads(files[reference.FILE], manifest.signature)
        model = parse(manifest.runtime, files[FORMATS[manifest.runtime].file])
        answering = predictor(manifest.runtime, model, manifest.signature, manifest.feed)
    except KeyError as error:
        raise VersionRefused(name, version, f"its manifest lists no {error.args[0]}") from error
    except MemoryError as error:
        raise VersionRefused(name, version, "there is not enough memory to load it") from error
    except (RowsError, UnloadableError) as error:
        raise VersionRefused(name, version, str(error)) from error
    return LoadedModel(manifest, answering, rows)


def verify(store: Store, name: str, version: int) -> LoadedModel:
    """Return a version that passed every check: files, manifest, parse, golden rows."""
    loaded = load(store, name, version)
    loaded.prove()
    return loaded


def _verified(store: Store, manifest: Manifest, file: str, largest: int) -> bytes:
    entry = manifest.file(file)
    data = store.read(manifest.name, manifest.version, file, largest, entry.size)
    if not entry.fits(data):
        msg = f"'{file}' is not the file that was published: its sha256 differs from the manifest's"
        raise UnsafeFileError(msg)
    return data
