"""README's numbers are what the committed records give: every sentence, and no number without one."""

import re
from pathlib import Path

import numpy as np
import pytest

from jaxact import records
from jaxact.commands import sentences
from jaxact.study import sentences_told

ROOT = Path(sentences.__file__).parents[2]
PAGES = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/answer.md")]
README = "\n".join(PAGES)


@pytest.fixture(scope="module")
def told():
    return [sentence for paragraph in sentences_told.every(ROOT / "results") for sentence in paragraph]


def test_readme_holds_every_sentence_as_the_records_give_it(told):
    assert sentences.missing(README, told) == []


def test_any_other_number_in_readme_would_be_seen(told):
    """Every figure of every sentence, changed by one in README, one after the other."""
    flat = " ".join(README.split())
    for sentence in told:
        for found in re.finditer(r"\d", sentence):
            other = str((int(found[0]) + 1) % 10)
            changed = sentence[: found.start()] + other + sentence[found.end() :]
            assert sentence in sentences.missing(flat.replace(sentence, changed), told)


def test_no_result_in_readme_stands_outside_the_sentences(told):
    """README and the answer without them, the headline table and programs' output: no decimal, percentage, interval."""
    part = README.replace("Python 3.11", "")
    part = re.sub(r"<!-- headline -->.*<!-- /headline -->", "", part, flags=re.S)  # test_headline has it
    part = re.sub(r"```.*?```|\([^()]*\.(?:md|toml|png|csv)[^()]*\)|`[^`]*`", "", part, flags=re.S)
    left = " ".join(part.split())
    for sentence in sorted(told, key=len, reverse=True):
        bare = " ".join(re.sub(r"\([^()]*\.(?:md|toml|png|csv)[^()]*\)|`[^`]*`", "", sentence).split())
        left = left.replace(bare, "")
    left = left.replace("effect, points [95 %]", "")  # the head of a column
    assert re.findall(r"\d+\.\d+|\d+ %|\[[+−]", left) == []


def test_shares_of_the_lost_classes_by_plain_loops(told):
    """The shares that README had wrong: dead at the start or the end is 86.5 %, 99 % only with nearly dead ones."""
    lost = started = either = off = 0
    largest = 0.0
    for name in ("relu-sigmoid-relu", "tanh-sigmoid-relu", "sigmoid-sigmoid-relu", "selu-sigmoid-relu"):
        (path,) = (ROOT / "results/mnist-paper/mnist").glob(f"{name}-*.npz")
        one = records.read(path)
        largest = max(largest, float(one.arrays["probe_saturated"][..., 1].max()))
        for seed in range(len(one.seeds)):
            for c in range(10):
                if one.arrays["test_predicted"][seed, -1, c]:
                    continue
                dead = one.arrays["probe_dead"][seed, :, 756 + c]
                lost += 1
                started += bool(dead[0])
                either += bool(dead[0] or dead[-1])
                off += bool(dead[-1] or one.arrays["probe_output_negative"][seed, -1, c] >= 0.99)
    assert (lost, round(100 * either / lost, 1)) == (659, 86.5)
    text = " ".join(told)
    shares = [f"{100 * n / lost:.0f} %" for n in (started, either, off)]
    assert re.search(f"{shares[0]} of these .* {shares[1]} one .* {shares[2]} end with one", text)
    assert f"{100 * largest:.1f} % in the worst single run" in text and np.isclose(largest, 0.129, atol=0.001)


def test_the_command_says_what_a_file_lacks(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sentences_told, "every", lambda folder: [["One 1.", "Two 2."]])
    page = tmp_path / "page.md"
    page.write_text("One\n1. Two 3.")
    assert sentences.main(["--results", str(tmp_path), "--check", str(page)]) == 1
    shown = capsys.readouterr()
    assert "One 1.\nTwo 2." in shown.out and shown.err.count("\n") == 1 and "lacks: Two 2." in shown.err
    page.write_text("One 1. Two\n2.")
    assert sentences.main(["--results", str(tmp_path), "--check", str(page)]) == 0
