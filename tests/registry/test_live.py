"""What answers now: versions enter proven, leave when deleted, and are quarantined with a reason."""

import logging
import shutil
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from mlapi.errors import LabelNotFound, ModelNotFound, ModelNotReady, RegistryGone, VersionNotFound
from mlapi.inference.values import Target
from mlapi.registry.live import LiveRegistry
from mlapi.registry.manifest import Manifest
from mlapi.registry.publishing import publish_model
from mlapi.registry.store import Store
from tests.server.conftest import until

Add = Callable[..., Manifest]
LINE = Target("line")


class Counting(BaseEstimator):
    """Counts how often it was asked."""

    calls: ClassVar[int] = 0
    answer: ClassVar[float] = 1.0

    def fit(self, rows: Any) -> Self:
        self.n_features_in_ = np.asarray(rows).shape[1]
        return self

    def predict(self, rows: Any) -> Any:
        Counting.calls += 1
        return np.full(len(rows), Counting.answer)


@pytest.fixture
def live(store: Store) -> LiveRegistry:
    """Return a registry that follows nothing until it is told to."""
    return LiveRegistry(store, poll_seconds=3600)


def version(live: LiveRegistry, target: Target = LINE) -> int:
    return live.get(target).manifest.version


def test_an_empty_registry_is_ready_and_knows_nothing(live: LiveRegistry) -> None:
    assert not live.is_ready()
    live.start()
    assert live.is_ready()
    assert live.models() == ()
    with pytest.raises(ModelNotFound):
        live.get(LINE)
    live.stop()


def test_the_newest_version_answers_by_default_and_each_by_its_number(add: Add, live: LiveRegistry) -> None:
    add()
    live.refresh()
    assert version(live) == 1
    add()
    assert version(live) == 1
    live.refresh()
    assert version(live) == 2
    assert version(live, Target("line", 1)) == 1
    assert live.model("line").ready == (1, 2)


def test_what_is_unknown_is_named(add: Add, live: LiveRegistry, store: Store) -> None:
    add()
    store.label("line", "stable", 1)
    live.refresh()
    with pytest.raises(ModelNotFound, match="did you mean 'line'"):
        live.get(Target("lime"))
    with pytest.raises(VersionNotFound, match="no version '9'; the newest is 1"):
        live.get(Target("line", 9))
    with pytest.raises(LabelNotFound, match="no label 'best'; its labels are stable"):
        live.get(Target("line", label="best"))


def test_a_deleted_version_is_dropped_and_the_one_before_answers(add: Add, live: LiveRegistry, store: Store) -> None:
    add()
    add()
    live.refresh()
    store.delete("line", 2)
    live.refresh()
    assert version(live) == 1
    with pytest.raises(VersionNotFound):
        live.get(Target("line", 2))
    store.delete("line", 1)
    live.refresh()
    with pytest.raises(ModelNotFound):
        live.get(LINE)


def test_a_model_in_hand_outlives_its_deletion(add: Add, live: LiveRegistry, store: Store, matrix: Any) -> None:
    add()
    live.refresh()
    held = live.get(LINE)
    store.delete("line", 1)
    live.refresh()
    assert held.predict({"input-0": matrix}, ["predict"])["predict"].shape == (len(matrix), 1)


# -- quarantine ---------------------------------------------------------------------------------


def test_a_damaged_version_is_quarantined_and_the_one_before_keeps_serving(
    add: Add, live: LiveRegistry, tamper: SimpleNamespace,
) -> None:
    add()
    live.refresh()
    add()
    tamper.write("line", 2, "model.joblib", b"x")
    live.refresh()
    assert version(live) == 1
    status = live.model("line").versions[2]
    assert (status.state, status.loaded) == ("UNAVAILABLE", None)
    assert "bytes; the manifest says" in status.reason
    with pytest.raises(ModelNotReady, match=r"version 2 of model 'line' is not ready: 'model\.joblib' has 1 bytes"):
        live.get(Target("line", 2))
    assert live.model("line").ready == (1,)


def test_a_model_with_nothing_but_damage_says_why(add: Add, live: LiveRegistry, tamper: SimpleNamespace) -> None:
    add()
    tamper.write("line", 1, "manifest.json", b"{}")
    live.start()
    live.stop()
    with pytest.raises(ModelNotReady, match="model 'line' is not ready: version 1: the manifest has format None"):
        live.get(LINE)
    assert live.is_ready(), "a refused version keeps no server from its work"


def test_a_version_that_answers_otherwise_here_is_quarantined(
    store: Store, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch, matrix: Any,
) -> None:
    """As another scikit-learn would make it answer."""
    publish_model(Counting().fit(matrix), "line", registry=store.root, sample=matrix)
    monkeypatch.setattr(Counting, "answer", 2.0)
    live.refresh()
    assert "its answers are not those it was published with" in live.model("line").versions[1].reason


def test_mended_files_are_picked_up_without_a_restart(
    add: Add, live: LiveRegistry, tamper: SimpleNamespace, store: Store,
) -> None:
    add()
    good = (store.folder("line", 1) / "card.md").read_bytes()
    tamper.write("line", 1, "card.md", b"x")
    live.refresh()
    assert live.model("line").versions[1].state == "UNAVAILABLE"
    tamper.write("line", 1, "card.md", good)
    live.refresh()
    assert version(live) == 1


def test_a_refused_version_is_not_read_again_while_its_files_stay(
    store: Store, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch, matrix: Any,
) -> None:
    publish_model(Counting().fit(matrix), "line", registry=store.root, sample=matrix)
    monkeypatch.setattr(Counting, "answer", 2.0)
    live.refresh()
    before = Counting.calls
    live.refresh()
    live.refresh()
    assert Counting.calls == before


def test_one_damaged_model_keeps_no_other_from_serving(
    add: Add, live: LiveRegistry, tamper: SimpleNamespace, store: Store,
) -> None:
    add("a-damaged")
    add("b-labels")
    add("line")
    tamper.write("a-damaged", 1, "manifest.json", b"[" * 60_000)
    (store.folder("b-labels") / "labels.json").write_bytes(b"[" * 60_000)
    live.refresh()
    assert version(live) == 1
    assert version(live, Target("b-labels")) == 1


# -- labels -------------------------------------------------------------------------------------


def test_a_label_means_what_the_registry_says(add: Add, live: LiveRegistry, store: Store) -> None:
    add()
    add()
    store.label("line", "stable", 1)
    live.refresh()
    assert version(live, Target("line", label="stable")) == 1
    store.label("line", "stable", 2)
    live.refresh()
    assert version(live, Target("line", label="stable")) == 2
    store.unlabel("line", "stable")
    live.refresh()
    with pytest.raises(LabelNotFound):
        live.get(Target("line", label="stable"))


def test_a_label_stays_on_the_old_version_until_the_new_one_is_ready(store: Store, matrix: Any) -> None:
    """The new version looks at the label from inside its own proof, when it is not ready yet."""
    publish_model(Counting().fit(matrix), "line", registry=store.root, sample=matrix)
    store.label("line", "stable", 1)
    live = LiveRegistry(store, poll_seconds=3600)
    live.refresh()
    publish_model(Looking().fit(matrix), "line", registry=store.root, sample=matrix)
    store.label("line", "stable", 2)
    Looking.look = lambda: version(live, Target("line", label="stable"))
    Looking.seen = []
    try:
        live.refresh()
    finally:
        Looking.look = lambda: 0
    assert set(Looking.seen) == {1}
    assert version(live, Target("line", label="stable")) == 2


class Looking(Counting):
    """Looks at something whenever it is asked."""

    look: ClassVar[Callable[[], int]] = lambda: 0
    seen: ClassVar[list[int]] = []

    def predict(self, rows: Any) -> Any:
        Looking.seen.append(Looking.look())
        return np.zeros(len(rows))


def test_a_label_on_a_version_that_is_refused_here_stays_on_the_one_before(
    add: Add, live: LiveRegistry, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    add()
    store.label("line", "stable", 1)
    tamper.write("line", 2, "model.joblib", b"x")
    live.refresh()
    store.label("line", "stable", 2)
    live.refresh()
    assert version(live, Target("line", label="stable")) == 1


def test_a_label_whose_only_version_is_refused_says_why(
    add: Add, live: LiveRegistry, store: Store, tamper: SimpleNamespace,
) -> None:
    add()
    store.label("line", "stable", 1)
    tamper.write("line", 1, "model.joblib", b"x")
    live.refresh()
    with pytest.raises(ModelNotReady, match="version 1 of model 'line' is not ready"):
        live.get(Target("line", label="stable"))


def test_damaged_labels_change_nothing_until_they_are_mended(add: Add, live: LiveRegistry, store: Store) -> None:
    add()
    add()
    store.label("line", "stable", 1)
    live.refresh()
    path = store.folder("line") / "labels.json"
    good = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"{")
    live.refresh()
    assert version(live, Target("line", label="stable")) == 1
    path.write_bytes(good.replace(b'"stable":1', b'"stable":2'))
    live.refresh()
    assert version(live, Target("line", label="stable")) == 2


# -- processes and threads ----------------------------------------------------------------------


def test_preloading_reads_and_parses_and_never_predicts(store: Store, live: LiveRegistry, matrix: Any) -> None:
    publish_model(Counting().fit(matrix), "line", registry=store.root, sample=matrix)
    before = Counting.calls
    live.preload()
    assert Counting.calls == before
    assert [loaded.manifest.version for loaded in live.preloaded()] == [1]
    assert not live.is_ready()
    parsed = live.preloaded()[0]
    live.start()
    live.stop()
    assert Counting.calls == before + 2, "proven, and then timed"
    assert live.get(LINE) is parsed, "what was parsed before the fork is what answers after it"
    assert live.preloaded() == ()


def test_preloading_passes_over_what_is_damaged(add: Add, live: LiveRegistry, tamper: SimpleNamespace) -> None:
    add()
    add()
    tamper.write("line", 1, "model.joblib", b"x")
    live.preload()
    assert [loaded.manifest.version for loaded in live.preloaded()] == [2]


def followers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "mlapi-registry"}


def test_starting_twice_follows_once(live: LiveRegistry) -> None:
    before = followers()
    live.start()
    live.start()
    assert len(followers() - before) == 1
    live.stop()


def test_changes_are_followed_without_being_told(
    add: Add, store: Store, caplog: pytest.LogCaptureFixture,
) -> None:
    ready = threading.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "version ready":
                ready.set()

    caplog.set_level("INFO", "mlapi.registry")
    listening = Listening()
    logging.getLogger("mlapi.registry").addHandler(listening)
    live = LiveRegistry(store, poll_seconds=0.001)
    live.start()
    add()
    try:
        assert ready.wait(20)
    finally:
        live.stop()
        logging.getLogger("mlapi.registry").removeHandler(listening)


def test_readers_never_see_a_model_without_an_answer_while_versions_come_and_go(
    add: Add, live: LiveRegistry, store: Store,
) -> None:
    add()
    live.refresh()
    wrong: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.0005):
            try:
                live.get(LINE)
            except Exception as error:  # noqa: BLE001 (whatever a reader would see)
                wrong.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2, 7):
        add()
        live.refresh()
        store.delete("line", number - 1)
        live.refresh()
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_registry_that_is_gone_is_no_empty_one_what_is_known_goes_on_answering(
    add: Add, store: Store, live: LiveRegistry,
) -> None:
    """As a disk that is not mounted any more looks: an empty folder, or none."""
    add()
    add()
    live.refresh()
    away = store.root.with_name("away")
    store.root.rename(away)
    for _ in range(2):
        with pytest.raises(RegistryGone):
            live.refresh()
        assert version(live) == 2
        with pytest.raises(ModelNotReady):  # it is not in memory
            live.get(Target("line", 1))
        store.root.mkdir(exist_ok=True)
    store.root.rmdir()
    away.rename(store.root)
    add()
    live.refresh()
    assert (version(live), version(live, Target("line", 1))) == (3, 1)


@pytest.mark.parametrize("is_seen", [True, False])
def test_another_registry_in_the_place_of_one_that_is_gone_answers_with_its_own_models(
    store: Store, live: LiveRegistry, is_seen: bool,
) -> None:
    """Its versions have the numbers of the old ones; also where it came so fast that nobody saw the old one go."""
    Counting.answer = 1.0
    for _ in range(3):
        publish_model(Counting().fit([[1.0]]), "line", sample=[[1.0]], registry=store.root)
    live.refresh()
    assert live.get(LINE).manifest.version == 3
    before = live.get(LINE)
    shutil.rmtree(store.root)
    if is_seen:
        with pytest.raises(RegistryGone):
            live.refresh()
    elsewhere = Store(store.root)  # another process
    for _ in range(3):
        publish_model(Counting().fit([[1.0]]), "line", sample=[[1.0]], registry=elsewhere.root)
    live.refresh()
    assert live.get(LINE) is not before
    assert live.get(LINE).manifest == elsewhere.manifest("line", 3)


def test_the_same_registry_back_again_loads_nothing_twice(add: Add, store: Store, live: LiveRegistry) -> None:
    add()
    live.refresh()
    before = live.get(LINE)
    store.root.rename(store.root.with_name("away"))
    with pytest.raises(RegistryGone):
        live.refresh()
    with pytest.raises(RegistryGone):  # who may be there after all
        live.get(Target("unknown"))
    store.root.with_name("away").rename(store.root)
    live.refresh()
    assert live.get(LINE) is before
    with pytest.raises(ModelNotFound):
        live.get(Target("unknown"))


def test_a_disk_that_goes_while_it_is_looked_at_takes_no_model_with_it(
    add: Add, store: Store, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch,
) -> None:
    add()
    live.refresh()
    add()
    look = live._survey.look

    def goes(**how: bool) -> Any:
        store.root.rename(store.root.with_name("away"))
        return look(**how)

    monkeypatch.setattr(live._survey, "look", goes)
    with pytest.raises(RegistryGone):
        live.refresh()
    assert version(live) == 1


def test_a_process_that_begins_while_the_registry_is_gone_answers_with_what_was_read_before_the_fork(
    add: Add, store: Store, live: LiveRegistry, caplog: pytest.LogCaptureFixture,
) -> None:
    add()
    live.preload()
    store.root.rename(store.root.with_name("away"))
    live.start()
    live.stop()
    assert (version(live), live.is_ready()) == (1, True)
    assert "the registry cannot be read; what is loaded answers" in caplog.messages
    with pytest.raises(RegistryGone):
        live.preload()  # as SIGHUP has it
    assert version(live) == 1


def test_a_version_that_was_asked_for_while_the_disk_was_gone_answers_as_soon_as_it_is_back(
    add: Add, store: Store,
) -> None:
    add()
    add()
    live = LiveRegistry(store, poll_seconds=0.01)
    live.start()
    assert version(live) == 2
    store.root.rename(store.root.with_name("away"))
    with pytest.raises(ModelNotReady, match="the registry cannot be reached"):
        live.get(Target("line", 1))
    store.root.with_name("away").rename(store.root)
    assert until(lambda: live.model("line").versions[1].state == "READY", within=5)
    assert version(live, Target("line", 1)) == 1
    live.stop()


def test_a_disk_that_goes_again_while_memory_is_compared_with_it_takes_nothing_from_memory(
    add: Add, store: Store, live: LiveRegistry, monkeypatch: pytest.MonkeyPatch,
) -> None:
    add()
    live.refresh()
    before, away = live.get(LINE), store.root.with_name("away")
    store.root.rename(away)
    with pytest.raises(RegistryGone):
        live.refresh()
    away.rename(store.root)

    def goes(*_: Any) -> tuple[object, ...]:
        if store.root.exists():
            store.root.rename(away)
        return ()

    monkeypatch.setattr(Store, "fingerprint", goes)
    with pytest.raises(RegistryGone):
        live.refresh()
    assert live.get(LINE) is before


def test_whatever_goes_wrong_in_following_it_is_told_once_and_goes_on(
    add: Add, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    add()
    live = LiveRegistry(store, poll_seconds=0.01)
    live.start()
    looks: list[int] = []

    def breaks(_: Store) -> bytes:
        looks.append(1)
        raise RuntimeError("odd")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "head", breaks)
        assert until(lambda: len(looks) > 3, within=5)
    add()
    assert until(lambda: version(live) == 2, within=5)
    live.stop()
    told = [one.thread for one in caplog.records if one.message.startswith("the registry cannot be read")]
    assert told
    assert len(told) == len(set(told))  # each process once; others may follow registries beside this test
