"""CIFAR-10's files in both forms, in folders and archives, and every kind of damage refused."""

import io
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxact.data import SPECS, cifar
from jaxact.data.files import load_raw

LONG = "\u00e9" * 60  # tar's first format has no room for it, the later ones write it into another header
SPEC = replace(SPECS["cifar10"], train_size=15, test_size=4)
NAMES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def example_batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Six batches of images [n, 32, 32, 3] and labels."""
    rng = np.random.default_rng(1)
    return [(rng.integers(0, 256, (n, 32, 32, 3), np.uint8), rng.integers(0, 10, n)) for n in (3, 3, 3, 3, 3, 4)]


def planes(image: np.ndarray) -> bytes:
    """Red, then green, then blue, each row by row: CIFAR-10's own layout, pixel by pixel."""
    return bytes(int(image[y, x, c]) for c in range(3) for y in range(32) for x in range(32))


def contents(form: str) -> dict[str, bytes]:
    """The six files in the binary or the python form."""
    made = {}
    for name, (images, labels) in zip(NAMES, example_batches(), strict=True):
        if form == "bin":
            made[f"{name}.bin"] = b"".join(
                bytes([label]) + planes(image) for image, label in zip(images, labels, strict=True)
            )
        else:
            rows = np.array([list(planes(image)) for image in images], np.uint8)
            made[name] = pickle.dumps({b"batch_label": b"x", b"labels": labels.tolist(), b"data": rows})
    return made


BINARY, PYTHON = contents("bin"), contents("py")


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def archive(path: Path, files: dict[str, bytes], prefix: str) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def assert_is_example(raw) -> None:
    batches = example_batches()
    np.testing.assert_array_equal(raw.train_images, np.concatenate([images for images, _ in batches[:5]]))
    np.testing.assert_array_equal(raw.train_labels, np.concatenate([labels for _, labels in batches[:5]]))
    np.testing.assert_array_equal(raw.test_images, batches[5][0])
    np.testing.assert_array_equal(raw.test_labels, batches[5][1])


@pytest.mark.parametrize("below", ["cifar-10-batches-{}", "cifar10/cifar-10-batches-{}", "cifar10", ""])
@pytest.mark.parametrize(("form", "files"), [("bin", BINARY), ("py", PYTHON)])
def test_folders_in_both_forms_give_the_same_data(tmp_path, form, files, below):
    write(tmp_path / below.format(form), files)
    found = load_raw(SPEC, tmp_path)
    assert found is not None
    assert_is_example(found[0])
    assert found[1].startswith(f"CIFAR-10 {'binary' if form == 'bin' else 'python'} batches in {tmp_path}")


@pytest.mark.parametrize("below", ["", "cifar10"])
@pytest.mark.parametrize(("name", "files"), [("cifar-10-binary", BINARY), ("cifar-10-python", PYTHON)])
def test_archives_are_read_without_extracting(tmp_path, name, files, below):
    (tmp_path / below).mkdir(exist_ok=True)
    path = tmp_path / below / f"{name}.tar.gz"
    archive(path, files, "cifar-10-batches-x/")
    found = load_raw(SPEC, tmp_path)
    assert found is not None
    assert_is_example(found[0])
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_is_known_by_its_content(tmp_path, mode, form):
    """A plain tar under the gzipped name, in the three formats of tar, with a folder and other files inside."""
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", mode, format=form) as tar:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in {"readme.html": b"x" * 1024, "batches.meta.txt": b"\xc3\xa9" * 70, **BINARY}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{LONG}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    found = load_raw(SPEC, tmp_path)
    assert found is not None
    assert_is_example(found[0])


LABELS = {
    "Python's integers": list,
    "NumPy's integers": lambda labels: [np.int64(label) for label in labels],
    "mixed integers": lambda labels: [np.uint8(labels[0]), np.int64(labels[1]), *labels[2:]],
    "a tuple": tuple,
    "an array": np.array,
    "an array of bytes": lambda labels: np.array(labels, np.uint8),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("made", LABELS.values(), ids=LABELS.keys())
def test_batches_rewritten_by_python_3_give_the_same_data(tmp_path, made, protocol):
    """As the original ones, and with text instead of bytes as keys, as `encoding="latin1"` leaves them."""
    for name, content in PYTHON.items():
        batch = pickle.loads(content)
        batch = {key.decode(): value for key, value in batch.items()} | {"labels": made(batch[b"labels"])}
        (tmp_path / name).write_bytes(pickle.dumps(batch, protocol))
    found = load_raw(SPEC, tmp_path)
    assert found is not None
    assert_is_example(found[0])


def test_hostile_archive_members_are_neither_followed_nor_written(tmp_path):
    """A link to a file outside and a path that climbs out: the link is no batch, the climbing path is only read."""
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(BINARY["test_batch.bin"])
    with tarfile.open(inside / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for name in NAMES[:5]:
            member = tarfile.TarInfo(f"../../{name}.bin")
            member.size = len(BINARY[f"{name}.bin"])
            tar.addfile(member, io.BytesIO(BINARY[f"{name}.bin"]))
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        tar.addfile(link)
    with pytest.raises(ValueError, match="test_batch.bin missing in the archive"):
        load_raw(SPEC, inside)
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "secret", "cifar-10-binary.tar.gz"}


def repickled(**changes: object) -> bytes:
    return pickle.dumps(pickle.loads(PYTHON["data_batch_2"]) | {k.encode(): v for k, v in changes.items()})


BAD_LABEL = bytes([10]) + BINARY["data_batch_2.bin"][1:]
DAMAGE = {
    "binary empty": ("data_batch_2.bin", b"", "holds 0 bytes, expected 9219"),
    "binary cut": ("data_batch_2.bin", BINARY["data_batch_2.bin"][:-1], "holds 9218 bytes, expected 9219"),
    "binary long": ("data_batch_2.bin", BINARY["data_batch_2.bin"] + b"\x00", "holds 9220 bytes, expected 9219"),
    "binary text": ("data_batch_2.bin", b"<html>", "holds 6 bytes"),
    "binary label": ("data_batch_2.bin", BAD_LABEL, r"label 10 at position 0 is outside 0\.\.9 of cifar10"),
    "python empty": ("data_batch_2", b"", "not an admissible pickle"),
    "python cut": ("data_batch_2", PYTHON["data_batch_2"][:-100], "not an admissible pickle"),
    "python text": ("data_batch_2", b"<html>", "not an admissible pickle"),
    "python list": ("data_batch_2", pickle.dumps([1, 2]), "'data' is NoneType"),
    "python shape": ("data_batch_2", repickled(data=np.zeros((2, 3072), np.uint8)), r"'data' is uint8 \[2, 3072\]"),
    "python type": ("data_batch_2", repickled(data=np.zeros((3, 3072))), r"'data' is float64 \[3, 3072\]"),
    "python label": ("data_batch_2", repickled(labels=[0, -1, 2]), r"label -1 at position 1 is outside 0\.\.9"),
    "python huge label": ("data_batch_2", repickled(labels=[0, 1, 10**30]), "label 10+ at position 2"),
    "python labels": ("data_batch_2", repickled(labels=[0, "a", 2]), "'labels' is not a list of 3 integers"),
    "python float labels": ("data_batch_2", repickled(labels=[0, 1.0, 2]), "'labels' is not a list of 3 integers"),
    "python label table": ("data_batch_2", repickled(labels=np.zeros((3, 1), int)), "not a list of 3 integers"),
    "python NumPy label": ("data_batch_2", repickled(labels=[np.int64(-1)] * 3), "label -1 at position 0 is outside"),
    "python boolean labels": ("data_batch_2", repickled(labels=[True, False, True]), "not a list of 3 integers"),
    "python fewer": ("data_batch_2", repickled(labels=[0, 1]), "'labels' is not a list of 3 integers"),
    "python code": ("data_batch_2", pickle.dumps(print), "asks for builtins.print"),
}


@pytest.mark.parametrize(("name", "content", "reason"), DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
def test_damage_is_refused_in_one_line_naming_the_file(tmp_path, name, content, reason, packed):
    files = (BINARY if name.endswith(".bin") else PYTHON) | {name: content}
    if packed:
        archive(tmp_path / f"cifar-10-{'binary' if name.endswith('.bin') else 'python'}.tar.gz", files, "a/")
    else:
        write(tmp_path, files)
    with pytest.raises(ValueError, match=reason) as caught:
        load_raw(SPEC, tmp_path)
    assert f"/{name}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_batch_is_named(tmp_path):
    write(tmp_path, {name: content for name, content in BINARY.items() if name != "data_batch_3.bin"})
    with pytest.raises(ValueError, match="data_batch_3.bin missing; all of data_batch_1.bin"):
        load_raw(SPEC, tmp_path)


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "noise"])
def test_a_damaged_archive_is_refused(tmp_path, kind):
    path = tmp_path / "cifar-10-binary.tar.gz"
    archive(path, BINARY, "cifar-10-batches-bin/")
    whole = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "text": b"<html>" * 99, "cut": whole[: len(whole) // 2], "noise": whole[:999] + bytes(9999)}[
            kind
        ]
    )
    with pytest.raises(
        ValueError, match="cifar-10-binary.tar.gz: .*(not a readable .tar.gz|it is truncated)"
    ) as caught:
        load_raw(SPEC, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_directory_in_the_place_of_a_batch_is_not_a_batch(tmp_path):
    write(tmp_path, {name: content for name, content in BINARY.items() if name != "test_batch.bin"})
    (tmp_path / "test_batch.bin").mkdir()
    with pytest.raises(ValueError, match="test_batch.bin missing"):
        cifar.read_folder(tmp_path, cifar.BINARY_FILES, SPEC)
