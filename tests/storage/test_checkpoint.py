"""Checkpoints: what was saved is what is loaded, to the bit, or it is not loaded."""

import contextlib
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from etils import epath
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from softrl.errors import CheckpointError, ConfigError
from softrl.storage import checkpoint, durable, folders, manifest


class State(NamedTuple):
    """A small state with everything that a run's state has."""

    params: dict
    key: jax.Array
    empty: tuple
    count: jax.Array
    legacy: jax.Array


def make_state(seed: int) -> State:
    key = jax.random.key(seed)
    params = {
        "w": jax.random.normal(key, (40, 30)),
        "half": jnp.linspace(-1, 1, 7, dtype=jnp.bfloat16) * seed,
        "mask": jnp.arange(9) % 2 == seed % 2,
        "special": jnp.array([jnp.nan, -0.0, jnp.inf, seed]),
    }
    return State(
        params=params,
        key=jax.random.split(key, 3),
        empty=(jnp.zeros((0, 4)), jnp.zeros((3, 0), jnp.int32)),
        count=jnp.uint32(seed),
        legacy=jax.random.PRNGKey(seed),
    )


ABSTRACT = jax.eval_shape(lambda: make_state(0))


def save_all(directory: Path, steps, keep: int = 2) -> None:
    store = checkpoint.open_store(directory, keep=keep)
    for step in steps:
        checkpoint.save(store, step, make_state(step), {"step": step, "offset": 100 * step})
    checkpoint.close(store)


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory) -> Path:
    """Checkpoints 1 and 2; tests copy it before they damage it."""
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    save_all(directory, (1, 2))
    return directory


@pytest.fixture
def saved(two_checkpoints, tmp_path) -> Path:
    return Path(shutil.copytree(two_checkpoints, tmp_path / "checkpoints"))


def assert_is(restored: checkpoint.Restored | None, step: int) -> None:
    assert restored is not None and restored.step == step
    assert restored.meta == {"step": step, "offset": 100 * step}
    assert checkpoint.state_sha256(restored.state) == checkpoint.state_sha256(make_state(step))


def in_child(script: str, *arguments, environment=None, **options) -> subprocess.CompletedProcess:
    environment = {**(environment or os.environ), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, **options)


# What comes back


def test_every_leaf_comes_back_to_the_bit_with_typed_keys_and_empty_leaves(saved):
    restored = checkpoint.restore(saved, ABSTRACT)
    assert_is(restored, 2)
    assert restored.rejected == ()
    assert jax.tree.structure(restored.state) == jax.tree.structure(make_state(2))
    assert jax.tree.map(lambda x: (x.dtype, x.shape), restored.state) == jax.tree.map(
        lambda x: (x.dtype, x.shape), ABSTRACT
    )
    draws = jax.vmap(lambda key: jax.random.normal(key, (5,)))
    np.testing.assert_array_equal(draws(restored.state.key), draws(make_state(2).key))


def test_keys_of_another_generator_keep_their_generator(tmp_path):
    state = {
        "key": jax.random.key(1, impl="rbg"),
        "keys": jax.random.split(jax.random.key(1, impl="unsafe_rbg"), (2, 3)),
    }
    checkpoint.save_best(tmp_path, state, {})
    restored = checkpoint.restore_best(tmp_path, jax.eval_shape(lambda: state)).state
    assert jax.tree.map(jax.random.key_impl, restored) == jax.tree.map(jax.random.key_impl, state)
    assert checkpoint.state_sha256(restored) == checkpoint.state_sha256(state)


def test_a_restored_state_may_be_donated_and_steps_on_as_the_saved_one_would(saved):
    step = jax.jit(advance, donate_argnums=0)
    restored = checkpoint.restore(saved, ABSTRACT).state
    assert checkpoint.state_sha256(step(restored)) == checkpoint.state_sha256(step(make_state(2)))
    assert restored.params["w"].is_deleted()


def advance(state: State) -> State:
    """One step that changes every leaf with elements."""
    grown = jax.tree.map(lambda x: ~x if x.dtype == bool else x + 1, state.params)
    keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(state.key)
    return State(grown, keys, state.empty, state.count + 1, state.legacy + 1)


def test_the_state_may_be_donated_as_soon_as_save_returns(tmp_path):
    # On the CPU device memory is host memory: the steps below must not write into what is being saved.
    step = jax.jit(lambda x: jax.tree.map(lambda leaf: leaf * 1.5 + 1, x), donate_argnums=0)
    state = {"a": jnp.arange(2_000_000.0), "b": jnp.ones((300, 7))}
    state = step(state)
    store = checkpoint.open_store(tmp_path)
    expected, given = checkpoint.state_sha256(state), state
    checkpoint.save(store, 1, state, {})
    for _ in range(20):
        state = step(state)
    jax.block_until_ready(state)
    assert given["a"].is_deleted()
    checkpoint.close(store)
    restored = checkpoint.restore(tmp_path, jax.eval_shape(lambda: state)).state
    assert checkpoint.state_sha256(restored) == expected


def test_a_sharded_state_comes_back_on_the_devices_that_the_target_names(tmp_path):
    mesh = Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("member", "data"))
    places = {"x": ("member", "data"), "replicated": (), "keys": ("data",), "partly": (None, "member")}
    values = {
        "x": jnp.arange(48.0).reshape(4, 12),
        "replicated": jnp.arange(5),
        "keys": jax.random.split(jax.random.key(0), 4),
        "partly": jnp.arange(12.0).reshape(3, 4),
    }
    shardings = {name: NamedSharding(mesh, PartitionSpec(*axes)) for name, axes in places.items()}
    state = jax.device_put(values, shardings)
    checkpoint.save_best(tmp_path, state, {})
    target = {name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings[name]) for name, x in values.items()}
    restored = checkpoint.restore_best(tmp_path, target).state
    assert jax.tree.map(lambda x: x.sharding, restored) == shardings
    hashes = {checkpoint.state_sha256(tree) for tree in (values, state, restored)}
    assert len(hashes) == 1
    elsewhere = jax.eval_shape(lambda: values)
    assert checkpoint.state_sha256(checkpoint.restore_best(tmp_path, elsewhere).state) in hashes


def test_a_size_that_no_chunk_divides_is_not_stored_in_crumbs(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_CHUNK_BYTES", 4096)
    state = {"replay": np.arange(65_537, dtype=np.uint32).astype(np.uint8)}  # a prime: 65,537 chunks of a byte each
    store = checkpoint.open_store(tmp_path, keep=1)
    checkpoint.save(store, 1, state, {})
    checkpoint.close(store)
    (stored,) = ocp.PyTreeCheckpointHandler().metadata(epath.Path(tmp_path) / "1" / "default").tree.values()
    assert stored.storage.chunk_shape == (4096,)
    back = checkpoint.restore(tmp_path, {"replay": jax.ShapeDtypeStruct((65_537,), np.uint8)})
    np.testing.assert_array_equal(back.state["replay"], state["replay"])


def test_what_was_stored_without_filling_up_is_still_read(tmp_path, monkeypatch):
    save_all(tmp_path, (1, 2))
    monkeypatch.setattr(checkpoint, "_CHUNK_BYTES", 1000)
    assert_is(checkpoint.restore(tmp_path, ABSTRACT), 2)


def test_metadata_comes_back_as_json_holds_it(tmp_path):
    meta = {"offset": 2**60, "best": float("-inf"), "identity": {"hidden": (256, 256), "path": Path("/a")}, "ü": None}
    checkpoint.save_best(tmp_path, make_state(1), meta)
    expected = {"offset": 2**60, "best": float("-inf"), "identity": {"hidden": [256, 256], "path": "/a"}, "ü": None}
    assert checkpoint.restore_best(tmp_path, ABSTRACT).meta == expected


def test_state_sha256_sees_every_bit_shape_dtype_and_path():
    states = [
        {"a": jnp.zeros(4)},
        {"a": -jnp.zeros(4)},
        {"b": jnp.zeros(4)},
        {"a": jnp.zeros((2, 2))},
        {"a": jnp.zeros(4, jnp.int32)},
        {"a": jnp.zeros(4), "b": jnp.zeros((0, 3))},
        {"a": jnp.zeros(4), "b": jnp.zeros((3, 0))},
        {"a": jax.random.key(0)},
        {"a": jax.random.PRNGKey(0)},
    ]
    assert len({checkpoint.state_sha256(state) for state in states}) == len(states)
    assert checkpoint.state_sha256(states[0]) == checkpoint.state_sha256({"a": np.zeros(4, np.float32)})


# Which checkpoints there are


def test_only_the_newest_are_kept_and_the_best_is_not_among_them(tmp_path):
    checkpoint.save_best(tmp_path, make_state(9), {"step": 9, "offset": 900})
    save_all(tmp_path, (1, 2, 30, 100), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["100", "30", "best"]
    assert_is(checkpoint.restore(tmp_path, ABSTRACT), 100)
    assert_is(checkpoint.restore_best(tmp_path, ABSTRACT)._replace(step=9), 9)


def test_without_a_finished_save_there_is_nothing_to_restore(tmp_path):
    assert checkpoint.restore(tmp_path / "nowhere", ABSTRACT) is None
    assert checkpoint.restore_best(tmp_path, ABSTRACT) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "half").write_bytes(b"written")
    (tmp_path / "8.orbax-checkpoint-tmp").mkdir()
    assert checkpoint.restore(tmp_path, ABSTRACT) is None


def test_a_step_that_is_not_newer_is_an_error_and_not_silently_skipped(saved):
    store = checkpoint.open_store(saved)
    for step in (1, 2):
        with pytest.raises(CheckpointError, match=f"step {step} is not newer than checkpoint 2"):
            checkpoint.save(store, step, make_state(step), {})
    checkpoint.save(store, 3, make_state(3), {"step": 3, "offset": 300})
    with pytest.raises(CheckpointError, match="not newer than checkpoint 3"):
        checkpoint.save(store, 3, make_state(3), {})
    checkpoint.close(store)
    assert_is(checkpoint.restore(saved, ABSTRACT), 3)


def test_opening_deletes_what_no_manifest_vouches_for_so_that_those_steps_can_be_saved_again(saved):
    shutil.copytree(saved / "2", saved / "5")  # its manifest says 2
    shutil.copytree(saved / "2", saved / "4")
    (saved / "4" / manifest.NAME).unlink()
    shutil.copytree(saved / "2", saved / "6.orbax-checkpoint-tmp")
    (saved / "3").symlink_to(saved / "2")
    (saved / "007").mkdir()
    (saved / "mine.txt").write_text("not a checkpoint")
    store = checkpoint.open_store(saved)
    assert sorted(path.name for path in saved.iterdir()) == ["007", "1", "2", "mine.txt"]
    checkpoint.save(store, 3, make_state(3), {"step": 3, "offset": 300})
    checkpoint.close(store)
    assert_is(checkpoint.restore(saved, ABSTRACT), 3)


def test_a_checkpoint_that_cannot_be_read_is_not_deleted(saved, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(manifest.hashlib, "file_digest", refuse)
        with pytest.raises(CheckpointError, match="input/output error"):
            checkpoint.open_store(saved)
    assert_is(checkpoint.restore(saved, ABSTRACT), 2)


def test_checkpoints_that_a_running_process_replaces_meanwhile_are_looked_for_again(saved, monkeypatch):
    real, calls = manifest.verify, []

    def verify(folder):
        calls.append(folder.name)
        if len(calls) == 1:
            save_all(saved, (3, 4))
        return real(folder)

    monkeypatch.setattr(manifest, "verify", verify)
    assert_is(checkpoint.restore(saved, ABSTRACT), 4)


def test_keep_below_one_and_a_file_in_the_way_are_clear_errors(tmp_path):
    with pytest.raises(ConfigError, match="keep must be at least 1, got 0"):
        checkpoint.open_store(tmp_path, keep=0)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(CheckpointError, match="file exists"):
        checkpoint.open_store(tmp_path / "file")


def test_a_state_that_cannot_be_stored_is_refused_by_the_leaf(tmp_path):
    store = checkpoint.open_store(tmp_path)
    for state, message in [
        ({"a": jnp.ones(3), "b": "text"}, r"\['b'\] is a str"),
        ({"a": np.array([object()])}, r"\['a'\]"),
        ({"a": np.zeros(3)}, "float64.*jax_enable_x64"),
        ({"a": jnp.zeros((0, 3))}, "no data"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            checkpoint.save(store, 1, state, {})
    with pytest.raises(TypeError, match="object"):
        checkpoint.save(store, 1, make_state(1), {"a": object()})
    checkpoint.save(store, 1, {"a": 1, "b": 2.5, "c": True}, {})
    checkpoint.close(store)
    restored = checkpoint.restore(tmp_path, {"a": 0, "b": 0.0, "c": False})
    assert jax.tree.map(lambda x: x.item(), restored.state) == {"a": 1, "b": 2.5, "c": True}


def test_another_target_gets_one_error_that_lists_every_difference(saved):
    other = make_state(0)
    other.params["new"] = other.params.pop("half")
    other.params["w"] = jnp.zeros((40, 31))
    other = other._replace(count=jnp.int32(0), key=jax.random.split(jax.random.key(0, impl="rbg"), 3))
    with pytest.raises(CheckpointError) as caught:
        checkpoint.restore(saved, jax.eval_shape(lambda: other))
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        ".params['new']: missing in the checkpoint",
        ".params['half']: in the checkpoint, not expected",
        ".params['w']: float32[40,30] in the checkpoint, float32[40,31] expected",
        ".key: key<fry>[3] in the checkpoint, key<rbg>[3] expected",
        ".count: uint32[] in the checkpoint, int32[] expected",
    ]


# Damage


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damage(path: Path, rng: random.Random) -> str:
    """One random flip, cut, zero-fill or deletion of a file; says what was done."""
    content = bytearray(path.read_bytes())
    kind = rng.choices(("flip", "cut", "zero", "delete"), (12, 2, 1, 1))[0]
    if kind == "delete" or not content:
        path.unlink()
        return f"delete {path.name}"
    at = rng.randrange(len(content))
    if kind == "flip":
        content[at] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[at:]
    else:
        content[at : at + 64] = bytes(len(content[at : at + 64]))
    path.write_bytes(content)
    return f"{kind} {path.name} at {at}"


def load_damaged(saved: Path, count: int, seed: int) -> None:
    """Damages the only checkpoint `count` times; it must never load."""
    rng = random.Random(seed)
    shutil.rmtree(saved / "1")
    for trial in range(count):
        path = rng.choice(files_of(saved / "2"))
        before = path.read_bytes()
        what = f"seed {seed}, trial {trial}: {damage(path, rng)}"
        if path.exists() and path.read_bytes() == before:
            continue  # zeros over zeros
        try:
            assert checkpoint.restore(saved, ABSTRACT) is None, f"loaded after {what}"
            assert path.name == manifest.NAME and not path.exists(), f"not noticed: {what}"
        except CheckpointError as error:
            assert str(saved / "2") in str(error), what
        path.write_bytes(before)
    assert_is(checkpoint.restore(saved, ABSTRACT), 2)


def test_random_damage_is_never_loaded(saved):
    load_damaged(saved, 400, seed=20261122)


@pytest.mark.slow
def test_ten_thousand_random_damages_are_never_loaded(saved):
    load_damaged(saved, 10_000, seed=8)


def test_damage_in_every_file_is_noticed_and_named(saved):
    for path in files_of(saved / "2"):
        before = path.read_bytes()
        for content in (before[: len(before) // 2], bytes(len(before)), before + b"\0", b""):
            if content != before:
                path.write_bytes(content)
                restored = checkpoint.restore(saved, ABSTRACT)
                assert_is(restored, 1)
                assert str(saved / "2") in restored.rejected[0]
        path.unlink()
        assert_is(checkpoint.restore(saved, ABSTRACT), 1)
        path.write_bytes(before)
    assert_is(checkpoint.restore(saved, ABSTRACT), 2)


def test_swapped_files_are_noticed(saved):
    first, second, *_ = (path for path in files_of(saved / "2") if path.parent.name == "d")
    contents = first.read_bytes(), second.read_bytes()
    assert contents[0] != contents[1]
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert_is(checkpoint.restore(saved, ABSTRACT), 1)


def test_when_all_are_damaged_one_error_lists_each_reason(saved):
    data = next(path for path in files_of(saved / "1") if path.parent.name == "d")
    data.write_bytes(b"?" * data.stat().st_size)
    (saved / "2" / manifest.NAME).write_bytes(b"{}")
    with pytest.raises(CheckpointError) as caught:
        checkpoint.restore(saved, ABSTRACT)
    lines = str(caught.value).splitlines()
    assert "move it away" in lines[0] and len(lines) == 3
    assert f"{saved / '2'}: the manifest contradicts its own sha256" in lines[1]
    assert f"{saved / '1'}: file " in lines[2] and "sha256" in lines[2]


def test_orbax_data_that_differs_from_the_manifest_is_noticed_after_the_files_verify(saved):
    # The worst case: another state's arrays under a manifest whose file hashes are right.
    verified = manifest.verify(saved / "2")
    shutil.rmtree(saved / "2" / "default")
    shutil.copytree(saved / "1" / "default", saved / "2" / "default")
    (saved / "2" / manifest.NAME).unlink()
    manifest.write(saved / "2", verified)
    restored = checkpoint.restore(saved, ABSTRACT)
    assert_is(restored, 1)
    assert "leaves have other sha256" in restored.rejected[0]


# Hostile files


class Bomb:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def reseal(folder: Path, **changes) -> None:
    """A manifest that an attacker would write: consistent with its own sha256."""
    body = durable.decode((folder / manifest.NAME).read_bytes())
    del body["sha256"]
    (folder / manifest.NAME).write_bytes(manifest.sealed(durable.encode({**body, **changes}).encode()))


def hostile(folder: Path, kind: str, trap: Path) -> None:
    bomb, files = pickle.dumps(Bomb(trap)), files_of(folder)
    data = next(path for path in files if path.parent.name == "d")
    listed = durable.decode((folder / manifest.NAME).read_bytes())["files"]
    outside = folder.parent.parent / "outside"
    outside.write_bytes(data.read_bytes())
    match kind:
        case "pickle beside":
            (folder / "payload.npy").write_bytes(b"\x93NUMPY\x01\x00" + bomb)
        case "pickle listed":
            (folder / "payload.pkl").write_bytes(bomb)
            reseal(folder, files={**listed, "payload.pkl": manifest._fingerprint(folder / "payload.pkl")})
        case "pickle as manifest":
            (folder / manifest.NAME).write_bytes(bomb)
        case "pickle as data":
            data.write_bytes(bomb)
            reseal(folder, files={**listed, data.relative_to(folder).as_posix(): manifest._fingerprint(data)})
        case "traversal":
            reseal(folder, files={**listed, "../../outside": manifest._fingerprint(outside)})
        case "absolute":
            reseal(folder, files={**listed, str(outside): manifest._fingerprint(outside)})
        case "symlink":
            data.unlink()
            data.symlink_to(outside)
        case "symlinked folder":
            shutil.move(folder / "default", folder.parent.parent / "default")
            (folder / "default").symlink_to(folder.parent.parent / "default")
        case "symlinked manifest":
            shutil.move(folder / manifest.NAME, folder.parent.parent / "moved")
            (folder / manifest.NAME).symlink_to(folder.parent.parent / "moved")
        case "symlinked checkpoint":
            shutil.move(folder, folder.parent.parent / "moved")
            folder.symlink_to(folder.parent.parent / "moved")
        case "fifo":
            os.mkfifo(folder / "pipe")
        case "huge shape":
            leaves = durable.decode((folder / manifest.NAME).read_bytes())["leaves"]
            reseal(folder, leaves=[{**leaf, "size": 10**15, "offset": 10**15} for leaf in leaves])
        case "object dtype":
            leaves = durable.decode((folder / manifest.NAME).read_bytes())["leaves"]
            reseal(folder, leaves=[{**leaf, "stored": "object"} for leaf in leaves])
        case "leaves that are no table":
            reseal(folder, leaves=[{"path": ["a"], "shape": 3}, 7])
        case "files that are no table":
            reseal(folder, files=["a"])
        case "deep nesting":
            (folder / manifest.NAME).write_bytes(manifest.sealed(b"{" + b"[" * 100_000))
        case "another format":
            reseal(folder, format=99)
        case "another step":
            reseal(folder, step=77)


KINDS = (
    "pickle beside,pickle listed,pickle as manifest,pickle as data,traversal,absolute,symlink,symlinked folder,"
    "symlinked manifest,symlinked checkpoint,fifo,huge shape,object dtype,leaves that are no table,"
    "files that are no table,deep nesting,another format,another step"
)


@pytest.mark.parametrize("kind", KINDS.split(","))
def test_hostile_files_are_never_executed_followed_or_waited_for(saved, tmp_path, kind):
    trap = tmp_path / "trap"
    hostile(saved / "2", kind, trap)
    try:
        restored = checkpoint.restore(saved, ABSTRACT)
        # An extra file that the manifest vouches for is data that nobody reads; everything else is passed over.
        assert_is(restored, 2 if kind == "pickle listed" else 1)
    except CheckpointError as error:
        assert kind in ("huge shape", "object dtype") and "another order or form" in str(error)
    assert not trap.exists()


def test_a_manifest_of_a_hundred_thousand_entries_is_refused_and_not_searched_for(saved):
    listed = durable.decode((saved / "2" / manifest.NAME).read_bytes())["files"]
    reseal(saved / "2", files={**listed, **{f"../{index}": [0, ""] for index in range(100_000)}})
    restored = checkpoint.restore(saved, ABSTRACT)
    assert_is(restored, 1)
    assert "'../0' is missing" in restored.rejected[0]


# Saves that fail


def test_everything_is_flushed_to_the_disk_before_the_manifest_appears_and_the_manifest_before_anything_goes(
    saved, monkeypatch
):
    log, sync, replace, unlink = [], os.fsync, os.replace, os.unlink
    monkeypatch.setattr(os, "fsync", lambda fd: (log.append(("sync", os.fstat(fd).st_ino)), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (log.append(("seal", str(b))), replace(a, b))[1])
    monkeypatch.setattr(os, "unlink", lambda *a, **o: (log.append(("delete", str(a[0]))), unlink(*a, **o))[1])
    save_all(saved, (3,))
    folder = saved / "3"
    sealing = log.index(("seal", str(folder / manifest.NAME)))
    flushed = {inode for kind, inode in log[:sealing] if kind == "sync"}
    for path in (saved, folder, *folder.rglob("*")):
        assert path.stat().st_ino in flushed, path
    assert log[sealing + 1] == ("sync", folder.stat().st_ino)
    assert log.index(("delete", str(saved / "1" / manifest.NAME))) > sealing + 1


def test_a_save_larger_than_the_free_space_fails_clearly_and_the_store_goes_on(saved, monkeypatch):
    store = checkpoint.open_store(saved)
    with monkeypatch.context() as patch:
        patch.setattr(durable.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
        checkpoint.save(store, 3, make_state(3), {})
        with pytest.raises(CheckpointError, match=r"checkpoint 3 in .*no space left.*needs [\d,]+ bytes, 10 are free"):
            checkpoint.wait(store)
        checkpoint.wait(store)  # said once
    assert [path.name for path in sorted(saved.iterdir())] == ["1", "2"]
    checkpoint.save(store, 3, make_state(3), {"step": 3, "offset": 300})
    checkpoint.close(store)
    assert_is(checkpoint.restore(saved, ABSTRACT), 3)


@pytest.mark.parametrize("call", ["save", "wait", "close"])
def test_a_failed_save_is_raised_by_whichever_call_comes_next(saved, monkeypatch, call):
    def refuse(*arguments):
        raise OSError(5, "Input/output error")

    store = checkpoint.open_store(saved)
    monkeypatch.setattr(manifest, "write", refuse)
    checkpoint.save(store, 3, make_state(3), {})
    following = {
        "save": lambda: checkpoint.save(store, 4, make_state(4), {}),
        "wait": lambda: checkpoint.wait(store),
        "close": lambda: checkpoint.close(store),
    }[call]
    with pytest.raises(CheckpointError, match=r"could not save checkpoint 3 .*input/output error.*older .* intact"):
        following()
    assert_is(checkpoint.restore(saved, ABSTRACT), 2)
    checkpoint.close(store)


class Crash(BaseException):
    """The machine stops here."""


class DyingSystem:
    """File system calls of `os` that stop working, all of them and for good, after a number of calls."""

    CALLS = ("open", "mkdir", "rename", "replace", "unlink", "rmdir", "fsync", "scandir", "truncate", "write")

    def __init__(self, patch, last: int):
        self.lock, self.left, self.dead = threading.Lock(), last, False
        for name in self.CALLS:
            patch.setattr(os, name, self.wrapped(getattr(os, name)))

    def wrapped(self, real):
        def call(*arguments, **options):
            with self.lock:
                self.left -= 1
                self.dead |= self.left < 0
            if self.dead:
                raise Crash
            return real(*arguments, **options)

        return call


def save_and_crash(saved: Path, last: int, monkeypatch) -> bool:
    """Saves 3 over 1 and 2 and lets the machine die after `last` calls; whether it died."""
    store = checkpoint.open_store(saved)
    monkeypatch.setattr(threading, "excepthook", lambda details: None)
    with monkeypatch.context() as patch:
        system = DyingSystem(patch, last)
        checkpoint.save(store, 3, make_state(3), {"step": 3, "offset": 300})
        store.worker.join()
    if not system.dead:
        checkpoint.close(store)
    return system.dead


def crash_everywhere(two_checkpoints: Path, tmp_path: Path, monkeypatch, stride: int) -> None:
    for last in range(0, 10_000, stride):
        saved = Path(shutil.copytree(two_checkpoints, tmp_path / str(last)))
        died = save_and_crash(saved, last, monkeypatch)
        # Never fewer than two whole ones, whatever else lies there.
        whole = [step for step in folders.steps(saved) if saved / str(step) not in folders.unverified(saved)]
        assert whole in (([2, 1], [3, 2, 1], [3, 2]) if died else ([3, 2],)), last
        assert_is(checkpoint.restore(saved, ABSTRACT), whole[0])
        if not died:
            break
        save_all(saved, (4,))
        assert_is(checkpoint.restore(saved, ABSTRACT), 4)
    assert last > 50  # the list of calls above still catches what a save does


def test_a_crash_at_a_file_operation_leaves_two_whole_checkpoints_and_the_next_save_works(
    two_checkpoints, tmp_path, monkeypatch
):
    crash_everywhere(two_checkpoints, tmp_path, monkeypatch, stride=9)


@pytest.mark.slow
def test_a_crash_at_any_file_operation_leaves_two_whole_checkpoints_and_the_next_save_works(
    two_checkpoints, tmp_path, monkeypatch
):
    crash_everywhere(two_checkpoints, tmp_path, monkeypatch, stride=1)


_FULL = """
import resource, signal, sys
from pathlib import Path
import jax.numpy as jnp
import numpy as np
from softrl.errors import CheckpointError
from softrl.storage import checkpoint

directory = Path(sys.argv[1])
store = checkpoint.open_store(directory)
small = {str(index): np.full(9, index, kind) for index, kind in enumerate(["float32", "int32", "uint8", "float16"])}
checkpoint.save(store, 1, small, {})
checkpoint.wait(store)
large = {name: np.random.default_rng(0).bytes(3_000_000) for name in small}
large = {name: np.frombuffer(data, np.uint8).view(small[name].dtype) for name, data in large.items()}
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
checkpoint.save(store, 2, large, {})
try:
    checkpoint.wait(store)
except CheckpointError as error:
    print(error)
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    checkpoint.save(store, 2, large, {})
else:
    checkpoint.save(store, 2, small, {})
checkpoint.close(store)
assert checkpoint.restore(directory, large if sys.argv[2] == "limit" else small).step == 2
print(sorted(path.name for path in directory.iterdir()))
"""


def test_a_file_size_limit_fails_the_save_clearly_quietly_and_leaves_no_litter(tmp_path, user_environment):
    done = in_child(_FULL, tmp_path / "x", "limit", environment=user_environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    message, left = done.stdout.splitlines()
    assert message.startswith(f"could not save checkpoint 2 in {tmp_path / 'x'}: ")
    assert "File too large" in message and "needs 12,000,000 bytes" in message
    assert left == "['1', '2']"


def test_a_really_full_disk_fails_the_save_clearly_and_the_older_checkpoint_stays(tmp_path, user_environment):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk here")
    try:
        done = in_child(_FULL, disk / "x", "disk", environment=user_environment)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "no space left on device (needs 12,000,000 bytes" in done.stdout


# Kills


_SAVING = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp
from softrl.storage import checkpoint

step = jax.jit(lambda state: {"x": state["x"] * 1.0001 + 1, "n": state["n"] + 1}, donate_argnums=0)
start = lambda: {"x": jnp.arange(200_000.0), "n": jnp.int32(0)}
directory = Path(sys.argv[1])
found = checkpoint.restore(directory, jax.eval_shape(start))
state = found.state if found else start()
store = checkpoint.open_store(directory)
print("open", flush=True)
while True:
    state = step(state)
    print("next", flush=True)
    checkpoint.save(store, int(state["n"]), state, {"sha256": checkpoint.state_sha256(state)})
    while store.worker.is_alive():
        print("saving", flush=True)
"""


def kill_often(directory: Path, environment: dict, kills: int, seed: int) -> None:
    rng, newest = random.Random(seed), 0
    abstract = {"x": jax.ShapeDtypeStruct((200_000,), jnp.float32), "n": jax.ShapeDtypeStruct((), jnp.int32)}
    environment = {**environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    for kill in range(kills):
        command = [sys.executable, "-c", _SAVING, str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout.readline() == b"open\n"
            assert process.stdout.readline() == b"next\n"
            # The child prints all the time: counting its lines is a clock that needs no sleep. A few saves go by, and
            # then it is killed anywhere within two of them.
            lines = max(lines_of_a_save(process) for _ in range(rng.randrange(1, 4)))
            for _ in range(rng.randrange(2 * lines + 1)):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        restored = checkpoint.restore(directory, abstract)
        assert restored.step > newest, f"seed {seed}, kill {kill}"
        assert restored.meta["sha256"] == checkpoint.state_sha256(restored.state)
        assert restored.rejected == () or "did not finish" in restored.rejected[0]
        newest = restored.step


def lines_of_a_save(process: subprocess.Popen) -> int:
    """Reads until the child begins its next save; how many lines that took."""
    count = 0
    while (line := process.stdout.readline()) != b"next\n":
        assert line, "the child ended"
        count += 1
    return count


def test_kill_9_during_continuous_saves_always_leaves_a_whole_checkpoint(tmp_path, user_environment):
    kill_often(tmp_path / "x", user_environment, kills=3, seed=1)


@pytest.mark.slow
def test_twenty_kills_during_continuous_saves_always_leave_a_whole_checkpoint(tmp_path, user_environment):
    kill_often(tmp_path / "x", user_environment, kills=20, seed=2)


_ENDING = """
import sys
from pathlib import Path
import jax.numpy as jnp
from softrl.storage import checkpoint
store = checkpoint.open_store(Path(sys.argv[1]))
checkpoint.save(store, 3, {"other": jnp.ones(100_000)}, {})
raise SystemExit("on purpose")
"""


def test_a_process_that_ends_without_closing_its_store_ends_and_loses_no_older_checkpoint(saved, user_environment):
    done = in_child(_ENDING, saved, environment=user_environment)
    assert done.returncode == 1 and "on purpose" in done.stderr
    assert checkpoint.restore(saved, ABSTRACT).step == 2


def test_replacing_the_best_policy_leaves_the_old_or_the_new_at_every_moment(tmp_path, monkeypatch):
    checkpoint.save_best(tmp_path, make_state(1), {"step": 1, "offset": 100})
    monkeypatch.setattr(threading, "excepthook", lambda details: None)
    for last in range(0, 10_000, 23):
        before = checkpoint.restore_best(tmp_path, ABSTRACT).meta["step"]
        with monkeypatch.context() as patch, contextlib.suppress(Crash):
            system = DyingSystem(patch, last)
            checkpoint.save_best(tmp_path, make_state(before + 1), {"step": before + 1, "offset": 100 * (before + 1)})
        restored = checkpoint.restore_best(tmp_path, ABSTRACT)
        assert restored.meta["step"] in (before, before + 1)
        assert_is(restored._replace(step=restored.meta["step"]), restored.meta["step"])
        if not system.dead:
            break
    assert restored.meta["step"] == before + 1
