"""The audit: what the published figures say of each claim, and verdicts on made-up figures."""

import itertools

import numpy as np
import pytest

from jaxact.study import claims, findings
from jaxact.study.claims import CLAIMS, audit, below

STUDY = ("relu", "tanh", "sigmoid", "selu")
NAMES = ["-".join(names) for names in itertools.product(STUDY, repeat=3)]
BY_ID = {claim.id: claim for claim in CLAIMS}


def table(failing, others, spread=0.1, runs=9):
    """64 combinations with these means; deterministic values around them."""
    around = spread * np.linspace(-1, 1, runs)
    return {name: (failing if claims.is_failing(name) else others) + around for name in NAMES}


def test_the_published_figures():
    found = {one.claim.id: one.published for one in audit({})}
    assert {name: finding.verdict for name, finding in found.items()} == {
        "endings fail": "undecided",  # selu-sigmoid-relu, 73.6 of 5 runs
        "only they fail": "false",
        "they are the worst": "undecided",  # selu-sigmoid-relu again, beside sigmoid-sigmoid-sigmoid, 77.5
        "they spread": "undecided",  # five runs say little of a deviation
        "batch norm repairs": "undecided",  # six runs in two families that are all but equal: not a normal sample
        "batch norm last": "undecided",
        "CIFAR-10": "false",
        "CIFAR-10 at batch 32": "undecided",
        "batch norm on CIFAR-10": "true",
        "batch norm on CIFAR-10 at batch 32": "undecided",
        "every optimiser": "false",  # selu-sigmoid-relu reaches 98 with the column called Adagrad
        "nine runs": "false",
        "ten runs": "false",
        "four optimisers": "false",
        "batch 32": "false",
        "64 LeNets": "false",
    }
    assert found["nine runs"].numbers == "5 distinct runs of 9 (5 = 1, 6 = 2, 7 = 3, 8 = 4)"
    assert "59 of 64" in found[
        "four optimisers"
    ].numbers and "selu-sigmoid-relu; others surely below 50 %: 42 of 60" in (found["CIFAR-10"].numbers)
    assert found["64 LeNets"].numbers.startswith("16 networks")


def test_what_was_not_run_is_undecided():
    assert {one.ours.verdict for one in audit({})} == {"undecided", "–"}
    assert all("not run" in one.ours.numbers for one in audit({"mnist": {}}) if one.ours.verdict == "undecided")


@pytest.mark.parametrize(
    ("failing", "others", "verdicts"),
    [
        (30, 97, ("true", "true", "true")),
        (85, 97, ("false", "true", "true")),
        (30, 85, ("true", "false", "true")),
        (97, 30, ("false", "false", "false")),
    ],
)
def test_verdicts_follow_the_means(failing, others, verdicts):
    ours = {"mnist": table(failing, others)}
    assert tuple(
        BY_ID[name].ours(ours).verdict for name in ("endings fail", "only they fail", "they are the worst")
    ) == (verdicts)


def test_an_interval_that_holds_the_limit_is_undecided():
    unclear = table(30, 97)
    unclear["relu-sigmoid-relu"] = np.array([60.0, 98, 70, 90, 82])
    assert BY_ID["endings fail"].ours({"mnist": unclear}).verdict == "undecided"
    unclear["tanh-sigmoid-relu"] += 60  # one that is clearly false decides
    assert BY_ID["endings fail"].ours({"mnist": unclear}).verdict == "false"
    assert below(np.array([79.0]), 80.0) and below(np.array([81.0]), 80.0) is False
    assert below(np.array([79.0, 80.5, 81.0]), 80.0) is None


def test_spread_is_compared_with_healthy_ones_only():
    figures = table(30, 97)
    for name in figures:
        if claims.is_failing(name):
            figures[name] = figures[name] * np.linspace(0.5, 1.5, 9)
    spread = BY_ID["they spread"]
    assert spread.ours({"mnist": figures}).verdict == "true"
    figures["relu-relu-relu"] = np.linspace(80, 98, 9)  # mean 89: not a healthy one
    assert spread.ours({"mnist": figures}).verdict == "true"
    figures["relu-relu-tanh"] = np.array([98.0] * 8 + [30.0])
    assert "relu-relu-tanh" in spread.ours({"mnist": figures}).numbers
    assert spread.ours({"mnist": figures}).verdict == "undecided"  # one bad run of nine
    narrow = table(30, 97) | {"relu-relu-tanh": np.linspace(82, 100, 9)}
    assert spread.ours({"mnist": narrow}).verdict == "false"


def test_ranks_are_undecided_where_intervals_overlap():
    figures, worst = table(30, 97), BY_ID["they are the worst"]
    figures["relu-sigmoid-relu"] = np.array([98.0, 50, 70, 40, 97])
    figures["sigmoid-sigmoid-sigmoid"] = np.array([70.0, 80, 75, 60, 85])
    found = worst.ours({"mnist": figures})
    assert found.verdict == "undecided" and "relu-sigmoid-relu 71.0 [" in found.numbers
    figures["sigmoid-sigmoid-sigmoid"] -= 60
    assert worst.ours({"mnist": figures}).verdict == "false"
    figures["relu-sigmoid-relu"] -= 40
    assert worst.ours({"mnist": figures}).verdict == "false"  # 14 is below 30


def test_batch_norm_and_cifar():
    repaired = {"mnist_batchnorm": table(96, 97), "mnist_batchnorm_last": table(85, 97)}
    assert BY_ID["batch norm repairs"].ours(repaired).verdict == "true"
    assert BY_ID["batch norm last"].ours(repaired).verdict == "false"
    one = {"mnist_batchnorm": {"relu-sigmoid-relu": np.full(9, 97.0)}}
    assert BY_ID["batch norm repairs"].ours(one).verdict == "undecided"
    assert BY_ID["CIFAR-10"].ours({"cifar10": table(10, 55)}).verdict == "true"
    assert BY_ID["CIFAR-10"].ours({"cifar10": table(30, 55)}).verdict == "false"
    assert BY_ID["CIFAR-10"].ours({"cifar10": table(10, 45)}).verdict == "false"
    assert BY_ID["CIFAR-10"].ours({"cifar10": table(10, 50, spread=3)}).verdict == "undecided"


def test_repair_on_cifar_is_relative_to_the_others():
    claim = BY_ID["batch norm on CIFAR-10"]
    assert claim.ours({"cifar10_batchnorm": table(41, 50)}).verdict == "true"
    assert claim.ours({"cifar10_batchnorm": table(39, 50)}).verdict == "false"
    assert claim.ours({"cifar10_batchnorm": table(40, 50)}).verdict == "undecided"
    assert claim.ours({"cifar10_batchnorm": {"relu-sigmoid-relu": np.full(3, 45.0)}}).verdict == "undecided"
    low = dict(table(41, 50), **{"relu-relu-relu": np.full(9, 10.0)})  # the median does not heed one bad combination
    assert claim.ours({"cifar10_batchnorm": low}).verdict == "true"
    assert BY_ID["batch norm on CIFAR-10 at batch 32"].ours({"cifar10_batch32_batchnorm": low}).verdict == "true"


def test_every_optimiser_has_to_fail():
    claim, ours = BY_ID["every optimiser"], {f"mnist_{name}": table(30, 97) for name in claims.OPTIMIZERS}
    assert claim.ours(ours).verdict == "true"
    assert claim.ours(ours | {"mnist_adagrad": table(97, 97)}).verdict == "false"
    assert claim.ours(ours | {"mnist_adagrad": table(80, 97)}).verdict == "undecided"
    absent = claim.ours({name: value for name, value in ours.items() if name != "mnist_rmsprop"})
    assert absent.verdict == "undecided" and "rmsprop" in absent.numbers


def test_fewer_than_64_cannot_be_ranked():
    part = {name: values for name, values in table(30, 97).items() if name.startswith("relu")}
    assert BY_ID["they are the worst"].ours({"mnist": part}).verdict == "undecided"


def test_the_spread_of_two_runs_has_no_interval():
    value, low, high = findings.spread(np.array([1.0, 3.0]))
    assert value == pytest.approx(2**0.5) and np.isnan([low, high]).all()
    value, low, high = findings.spread(np.arange(9.0))
    assert low < value < high


def test_three_runs_of_ours_decide_nothing_and_say_so():
    """A single published run is taken at its word; of our runs fewer than four per combination are too few."""
    for runs in (1, 2, 3):
        ours = {"mnist": table(30, 97, runs=runs), "mnist_batchnorm": table(96, 97, runs=runs)}
        ours |= {f"mnist_{name}": table(30, 97, runs=runs) for name in claims.OPTIMIZERS}
        for name in ("endings fail", "only they fail", "they are the worst", "batch norm repairs", "every optimiser"):
            found = BY_ID[name].ours(ours)
            assert found.verdict == "undecided" and "fewer than 4 runs, too few" in found.numbers, (name, runs)


def test_a_combination_with_few_runs_takes_away_true_but_not_false():
    ours = table(30, 97)
    ours["relu-relu-relu"] = ours["relu-relu-relu"][:3]
    assert BY_ID["only they fail"].ours({"mnist": ours}).verdict == "undecided"
    ours["relu-relu-tanh"] = ours["relu-relu-tanh"] - 40
    found = BY_ID["only they fail"].ours({"mnist": ours})
    assert found.verdict == "false" and "too few" not in found.numbers


def test_runs_that_are_all_dead_still_decide_that_they_fail():
    """Nine runs at 9.8 %: even if one in three were healthy, the mean would be below 80 %."""
    ours = table(30, 97) | {name: np.full(9, 9.8) for name in NAMES if claims.is_failing(name)}
    found = BY_ID["endings fail"].ours({"mnist": ours})
    assert found.verdict == "true" and "9.8 [6." in found.numbers
