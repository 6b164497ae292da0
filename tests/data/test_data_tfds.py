"""TFDS without TensorFlow: its real builders prepare, and what is read back is the original, in the original order."""

import io
import json
import os
import shutil
import struct
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from oracles.damaged_files import damaged

from jaxact.data import SPECS, idx, tfds
from jaxact.data.files import load_raw as load_files
from jaxact.data.raw import ORIGINALS, Raw, check_raw, digests
from jaxact.data.tfds_folder import _original_order, _records, find_prepared, read_prepared

MNIST = replace(SPECS["mnist"], train_size=60, test_size=20)
CIFAR10 = replace(SPECS["cifar10"], train_size=50, test_size=10)


def real_mnist() -> Path:
    """The folder with the four original MNIST files, or a skip."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "mnist"
    folder = Path(os.environ.get("JAXACT_TEST_MNIST", beside))
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("the original MNIST files are absent; name their folder in JAXACT_TEST_MNIST")
    return folder


def example(spec) -> Raw:
    rng = np.random.default_rng(4)
    return Raw(
        rng.integers(0, 256, (spec.train_size, *spec.shape), np.uint8),
        rng.integers(0, 10, spec.train_size, np.uint8),
        rng.integers(0, 256, (spec.test_size, *spec.shape), np.uint8),
        rng.integers(0, 10, spec.test_size, np.uint8),
    )


def original_files(raw: Raw, spec, folder: Path) -> list[Path]:
    """Write a data set as the files TFDS downloads."""
    if spec.name == "mnist":
        paths = [folder / idx.file_names(part)[0] for part in idx.PARTS]
        for path, part in zip(paths, raw, strict=True):
            path.write_bytes(idx.encode(part.squeeze(-1) if part.ndim == 4 else part))
        return paths
    path = folder / "cifar-10-binary.tar.gz"
    rows = [
        np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(len(images), -1)], 1)
        for images, labels in ((raw.train_images, raw.train_labels), (raw.test_images, raw.test_labels))
    ]
    with tarfile.open(path, "w:gz") as tar:
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        for name, content in zip(names, [*np.split(rows[0], 5), rows[1]], strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = content.size
            tar.addfile(member, io.BytesIO(content.tobytes()))
    return [path]


@pytest.fixture(scope="module", params=[MNIST, CIFAR10], ids=["mnist", "cifar10"])
def prepared_once(request, tmp_path_factory):
    """A small data set prepared by TFDS's builder; only its download is replaced."""
    import tensorflow_datasets.public_api as real

    spec, root = request.param, tmp_path_factory.mktemp("tfds")
    raw = example(spec)
    paths = original_files(raw, spec, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real.download.DownloadManager, "download", lambda self, urls: paths)
        patch.setattr(tfds, "why_unreachable", lambda url: None)
        if spec.name in ORIGINALS:
            patch.setitem(ORIGINALS, spec.name, digests(raw))
        read, source = tfds.load_raw(spec, root)
    return spec, raw, read, source, root


@pytest.fixture
def prepared(prepared_once, monkeypatch):
    """The same, passing for the original data set."""
    spec, raw, *_ = prepared_once
    if spec.name in ORIGINALS:
        monkeypatch.setitem(ORIGINALS, spec.name, digests(raw))
    return prepared_once


def test_the_original_order_is_restored(prepared):
    """Against the arrays that the original files were written from."""
    spec, raw, read, source, _ = prepared
    for array, expected in zip(read, raw, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)
    assert source == f"TFDS {spec.name}/{'3.0.1' if spec.name == 'mnist' else '3.0.2'}"


def test_tfds_does_shuffle(prepared):
    """Otherwise the test above could not fail."""
    import tensorflow_datasets.public_api as real

    spec, raw, _, _, root = prepared
    info = real.builder_from_directory(find_prepared(root, spec.name)).info
    stored = [info.features.deserialize_example_np(record)["label"] for record in _records(info, "train")]
    assert stored != raw.train_labels.tolist()
    assert sorted(stored) == sorted(raw.train_labels.tolist())


def test_a_prepared_folder_is_read_again_without_asking_anyone(prepared, monkeypatch):
    spec, raw, _, _, root = prepared
    monkeypatch.setattr(tfds, "_prepare", lambda *_: pytest.fail("prepared again"))
    read, _ = tfds.load_raw(spec, root)
    np.testing.assert_array_equal(read.train_images, raw.train_images)
    version = find_prepared(root, spec.name)
    assert version is not None and find_prepared(version, spec.name) == version


def test_tfdss_own_builder_stays_registered(prepared):
    import tensorflow_datasets as real

    assert real.builder_cls(prepared[0].name).__module__.startswith("tensorflow_datasets.image_classification.")
    assert "tensorflow" not in sys.modules


def copy_of(prepared, folder: Path) -> Path:
    spec, *_, root = prepared
    shutil.copytree(root / spec.name, folder / spec.name)
    found = find_prepared(folder, spec.name)
    assert found is not None
    return found


def test_tfrecord_folders_are_read_too(prepared, tmp_path):
    """The format TFDS writes by default, framed by hand: length, checksum, record, checksum."""
    import tensorflow_datasets.public_api as real

    spec, raw, *_ = prepared
    folder = copy_of(prepared, tmp_path)
    info = real.builder_from_directory(folder).info
    for split in ("train", "test"):
        (path,) = info.splits[split].filepaths
        framed = b"".join(
            struct.pack("<Q", len(record)) + bytes(4) + record + bytes(4) for record in _records(info, split)
        )
        Path(str(path).replace("array_record", "tfrecord")).write_bytes(framed)
        Path(path).unlink()
    description = folder / "dataset_info.json"
    description.write_text(description.read_text().replace('"array_record"', '"tfrecord"'))
    for array, expected in zip(read_prepared(folder, spec), raw, strict=True):
        np.testing.assert_array_equal(array, expected)
    records = next(folder.glob("*test*"))
    whole = records.read_bytes()
    for content, reason in (
        (whole[:-10], "is truncated"),
        (whole + b"123", "is truncated"),
        (struct.pack("<Q", 1 << 62) + whole[8:], "has a record of 4,611,686,018,427,387,904 bytes, at most 65,536"),
    ):
        records.write_bytes(content)
        with pytest.raises(ValueError, match=f"not a readable TFDS folder .*{reason}"):
            read_prepared(folder, spec)
    rng = np.random.default_rng(6)
    for _ in range(20):
        records.write_bytes(damaged(whole, rng))
        try:
            check_raw(read_prepared(folder, spec), spec, "folder")
        except ValueError as error:
            assert str(error).isprintable()


def other_format(folder):
    path = folder / "dataset_info.json"
    path.write_text(path.read_text().replace('"array_record"', '"riegeli"'))


def fewer(folder):
    path = folder / "dataset_info.json"
    content = json.loads(path.read_text())
    content["splits"][0]["shardLengths"] = ["7"]
    path.write_text(json.dumps(content))


def long_description(folder):
    (folder / "label.labels.txt").write_bytes(b"x" * ((1 << 20) + 1))


def feature_of(module, key="pythonClassName"):
    def change(folder):
        path = folder / "features.json"
        text = path.read_text().replace("tensorflow_datasets.core.features.image_feature", module)
        path.write_text(text.replace('"pythonClassName"', f'"{key}"'))

    return change


DAMAGE = {
    "description too long": long_description,
    "feature of another module": feature_of("module_of_a_file"),
    "feature under the other name": feature_of("module_of_a_file", "python_class_name"),
    "feature in the old form": lambda folder: (folder / "features.json").write_text(
        '{"type": "module_of_a_file.Image", "content": {}}'
    ),
    "feature in a text": lambda folder: (folder / "features.json").write_text(
        '{"type": "tensorflow_datasets.core.features.features_dict.FeaturesDict", "content": "{}"}'
    ),
    "description not JSON": lambda folder: (folder / "dataset_info.json").write_text("no"),
    "features missing": lambda folder: (folder / "features.json").unlink(),
    "records missing": lambda folder: next(folder.glob("*test*record*")).unlink(),
    "records cut": lambda folder: (p := next(folder.glob("*train*record*"))).write_bytes(p.read_bytes()[:999]),
    "other format": other_format,
    "fewer": fewer,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_folder_is_refused_in_one_line(prepared, tmp_path, monkeypatch, damage):
    """Nor is a module imported that the folder names."""
    (tmp_path / "module_of_a_file.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    folder = copy_of(prepared, tmp_path)
    damage(folder)
    with pytest.raises(ValueError, match=f"{folder}: not a readable TFDS folder") as caught:
        read_prepared(folder, prepared[0])
    assert "\n" not in str(caught.value)


def test_another_data_set_is_refused(prepared, tmp_path):
    folder = copy_of(prepared, tmp_path)
    with pytest.raises(ValueError, match="it holds .*, expected fashion_mnist"):
        read_prepared(folder, SPECS["fashion_mnist"])


def test_altered_contents_are_refused(prepared, monkeypatch):
    spec, *_, root = prepared
    if spec.name not in ORIGINALS:
        pytest.skip("no digest of the original contents is known for cifar10")
    monkeypatch.setitem(ORIGINALS, spec.name, ("0",) * 4)
    with pytest.raises(ValueError, match="its contents are not those of the original mnist"):
        tfds.load_raw(spec, root)


def test_the_latest_version_is_taken(tmp_path):
    for version in ("3.0.9", "3.0.10", "1.0.0"):
        (tmp_path / "mnist" / version).mkdir(parents=True)
        (tmp_path / "mnist" / version / "dataset_info.json").touch()
    assert find_prepared(tmp_path, "mnist") == tmp_path / "mnist" / "3.0.10"
    assert find_prepared(tmp_path, "cifar10") is None


def test_wrong_files_in_the_manual_folder_are_refused_by_tfds_own_checksum(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    original_files(example(MNIST), MNIST, manual)
    with pytest.raises(ValueError, match="TFDS: Artifact .* has wrong checksum") as caught:
        tfds.load_raw(MNIST, tmp_path, offline=True)
    assert "\n" not in str(caught.value)


def test_offline_asks_no_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds, "why_unreachable", lambda url: pytest.fail("asked"))
    with pytest.raises(ValueError, match="TFDS: not asked, offline"):
        tfds.load_raw(MNIST, tmp_path / "new", offline=True)
    assert not (tmp_path / "new").exists()


def test_the_stored_order_is_the_one_tfds_is_known_for():
    """Against the labels that mnist/3.0.1 prepared by TFDS with TensorFlow begins with."""
    found = load_files(SPECS["mnist"], real_mnist())
    assert found is not None
    stored = found[0].train_labels[_original_order(60_000, "train")[:10]]
    assert stored.tolist() == [4, 1, 0, 7, 8, 1, 2, 7, 1, 6]


@pytest.mark.slow
def test_real_mnist_through_tfds_equals_the_idx_files(tmp_path):
    """The whole genuine path from the original files in TFDS's manual folder, about half a minute."""
    folder = real_mnist()
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for path in folder.glob("*-ubyte.gz"):
        shutil.copyfile(path, manual / path.name)
    read, source = tfds.load_raw(SPECS["mnist"], tmp_path, offline=True)
    found = load_files(SPECS["mnist"], folder)
    assert found is not None and source == "TFDS mnist/3.0.1"
    for array, expected in zip(read, found[0], strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)
