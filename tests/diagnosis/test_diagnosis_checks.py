"""What is found in inputs, labels, loss and weights: each limit from both sides, and one diagnosis of each."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.foreign_networks import LABELS, batch
from oracles.signal_networks import report

import jaxact
from jaxact.diagnosis import checks
from jaxact.diagnosis.edges import INPUT, OUTPUT, Edges
from jaxact.diagnosis.verdicts import FEW_EXAMPLES, judge

EDGES = Edges({INPUT: frozenset({0}), 0: frozenset({OUTPUT})}, frozenset({0}))
LINE = Edges({INPUT: frozenset({0}), 0: frozenset({1}), 1: frozenset({OUTPUT})}, frozenset({0, 1}))
SIGNS = np.where(np.arange(40) % 2, 1.0, -1.0).reshape(20, 2).astype(np.float32) * np.float32([1, -1])[None]
SIGNS[::3] *= -1  # not all examples alike


def inputs(size, spread):
    return checks.input_checks(size * SIGNS, [report("first", spread=spread)], EDGES)


def test_the_size_of_inputs_and_what_the_first_layer_makes_of_it():
    assert not inputs(checks.UNSCALED / 1.01, 30.0) and not inputs(1.0, 1.0) and not inputs(0.5, 0.3)
    (found,) = inputs(checks.UNSCALED * 1.01, checks.SPREAD * 1.01)
    assert found.kind == "unscaled inputs" and found.number == pytest.approx(10.1) and found.limit == checks.UNSCALED
    assert not inputs(checks.UNSCALED * 1.01, checks.SPREAD / 1.01)  # divided in the network, or by batch norm
    assert not inputs(checks.TINY * 1.01, 0.01)
    (found,) = inputs(checks.TINY / 1.01, checks.NARROW / 1.01)
    assert found.kind == "unscaled inputs" and found.limit == checks.TINY
    assert not inputs(checks.TINY / 1.01, checks.NARROW * 1.01)


def test_inputs_off_centre_are_found_where_the_first_layer_feels_it():
    rows = np.concatenate([SIGNS, SIGNS])

    def found(middle, centre, examples=FEW_EXAMPLES):
        return checks.input_checks(rows[:examples] + middle, [report("first", spread=1.0, centre=centre)], EDGES)

    around = float(np.sqrt(np.mean(rows[:FEW_EXAMPLES].std(0) ** 2)))
    away = checks.OFFSET * around
    (verdict,) = found(1.2 * away, checks.DRIVEN * 1.01)
    assert (verdict.kind, verdict.limit) == ("unscaled inputs", checks.OFFSET) and "away from 0" in verdict.text
    means = (rows[:FEW_EXAMPLES] + 1.2 * away).mean(0)
    assert verdict.number == pytest.approx(np.sqrt(np.mean(means**2)) / around, rel=1e-5)
    assert not found(0.8 * away, checks.DRIVEN * 1.01) and not found(1.2 * away, checks.DRIVEN / 1.01)
    assert not found(1.2 * away, checks.DRIVEN * 1.01, examples=FEW_EXAMPLES - 1)
    fixed = {"a": np.ones((FEW_EXAMPLES, 2), np.float32), "b": np.arange(2 * FEW_EXAMPLES).reshape(-1, 2)}
    assert not checks.input_checks(fixed, [report("first", spread=1.0, centre=9.0)], EDGES)


def test_zeros_among_the_inputs_do_not_make_them_small():
    sparse = np.zeros((20, 4000), np.float32)
    sparse[np.arange(20), np.arange(20)] = 1  # one-hot: the root mean square over all is 0.016, over the rest 1
    assert not checks.input_checks(sparse, [report("first", spread=0.01)], EDGES)
    assert not checks.input_checks(np.arange(80).reshape(20, 4), [report("first", spread=9.0)], EDGES)  # tokens


def test_equal_inputs_are_found_in_every_input():
    same, other = np.ones((4, 3), np.float32), np.arange(12, dtype=np.float32).reshape(4, 3)
    assert [found.kind for found in checks.input_checks({"a": same, "b": same}, [report("a")], EDGES)] == [
        "constant inputs"
    ]
    assert not checks.input_checks({"a": same, "b": other}, [report("a")], EDGES)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_loss_is_compared_with_that_of_a_guess(classes):
    labels, guess = jnp.arange(40) % 2, math.log(classes)

    def kinds(loss):
        found, notes = checks.label_checks(labels, loss, classes, FEW_EXAMPLES)
        return [verdict.kind for verdict in found], len(notes)

    assert kinds(guess + checks.FAR_ABOVE * 1.001) == (["large loss"], 0)
    assert kinds(guess + checks.FAR_ABOVE / 1.001) == ([], 0)
    assert kinds(guess + checks.NEAR / 1.001) == ([], 1) == kinds(guess - checks.NEAR / 1.001)
    assert kinds(guess + checks.NEAR * 1.001) == ([], 0) == kinds(guess - checks.NEAR * 1.001)
    _, (note,) = checks.label_checks(labels, guess, classes, FEW_EXAMPLES)
    assert f"ln {classes} = {guess:.4g}" in note and "right at initialisation" in note


def test_equal_labels_are_a_finding_where_they_are_no_chance():
    many, few = jnp.full(FEW_EXAMPLES, 3), jnp.full(FEW_EXAMPLES - 1, 3)
    assert [verdict.kind for verdict in checks.label_checks(many, 1.0, 10, FEW_EXAMPLES)[0]] == ["equal labels"]
    found, notes = checks.label_checks(few, 1.0, 10, FEW_EXAMPLES)
    assert not found and notes == ["all 31 labels are 3, by chance or because the data are sorted"]
    assert checks.label_checks(many.at[0].set(2), 1.0, 10, FEW_EXAMPLES) == ([], [])


def dead(share, examples, name="last", outputs=10):
    layers = [report("first"), report(name, units=10, dead=share)]
    return judge(layers, LINE, outputs=outputs, examples=examples, broken=("", 0))


def test_dead_outputs_have_the_remedy_of_outputs_however_many_they_are():
    for share in (0.1, 0.5, 0.51, 1.0):
        (found,) = dead(share, 32)
        assert found.kind == "dead outputs" and "linear output" in found.remedy and found.limit == 0
    assert not dead(0.0, 32) and not dead(0.9, 31)
    (found,) = dead(1.0, 31)
    assert (found.kind, found.limit) == ("dead outputs", 0.9)


def test_hidden_layers_are_dead_and_saturated_from_a_half_on():
    """At the limits in numbers, those of the docstring of `verdicts`: a limit that moves is seen here."""
    assert not dead(0.5, 32, outputs=3)
    (found,) = dead(0.51, 32, outputs=3)
    assert found.kind == "dead" and "biases" in found.remedy
    assert not dead(0.9, 31, outputs=3) and dead(0.91, 31, outputs=3)
    for share, kinds in ((0.5, []), (0.51, ["saturated"])):
        layers = [report("first", saturates=True, saturated=share), report("last")]
        found = judge(layers, LINE, outputs=3, examples=64, broken=("", 0))
        assert [verdict.kind for verdict in found] == kinds


def net(weights, x):
    hidden = jnp.tanh(x @ weights["a"]["kernel"] + weights["a"]["bias"][None])
    hidden = jnp.tanh(hidden @ weights["b"]["kernel"] + weights["b"]["bias"][None])
    return hidden @ weights["c"]["kernel"] + weights["c"]["bias"][None]


def start(**kernels):
    rng, weights = np.random.default_rng(0), {}
    for name, (fan_in, units) in {"a": (12, 8), "b": (8, 8), "c": (8, 5)}.items():
        drawn = kernels.get(name, rng.normal(size=(fan_in, units)) / fan_in**0.5)
        kernel = jnp.broadcast_to(jnp.asarray(drawn, jnp.float32), (fan_in, units))
        weights[name] = {"kernel": kernel, "bias": jnp.zeros(units)}
    return weights


def test_equal_weights_are_told_from_those_that_part():
    """All units of a layer stay equal if weights and gradients are: by 50 steps of gradient descent on the loss."""

    def loss(weights, x):
        return -jnp.take_along_axis(jax.nn.log_softmax(net(weights, x)), LABELS[:, None], 1).mean()

    step = jax.jit(lambda w, x: jax.tree.map(lambda leaf, slope: leaf - slope, w, jax.grad(loss)(w, x)))
    x = batch(12)
    cases = (
        ({"a": 0.1, "b": 0.1, "c": 0.1}, "all units of a, b have equal weights and equal gradients", True),
        ({"a": 0, "b": 0, "c": 0}, "all weights of a, b, c are 0 and no gradient ever reaches them", False),
        ({"b": 0.1, "c": 0.1}, "all units of b have equal weights and equal gradients", True),
        ({"b": 0.1}, "", True),
        ({"c": 0}, "", False),
    )
    for kernels, wanted, noted in cases:
        weights = start(**kernels)
        found = jaxact.diagnose(net, weights, x, LABELS)
        for _ in range(50):
            weights = step(weights, x)
        b = np.asarray(weights["b"]["kernel"])
        stuck = bool(np.abs(b - b[:, :1]).max() <= 1e-3 * np.abs(b).max())
        assert stuck == (wanted != ""), kernels
        equal = [verdict.text for verdict in found.verdicts if verdict.kind == "equal weights"]
        assert [text.startswith(wanted) for text in equal] == [True] * int(stuck)
        assert (found.main == "equal weights") == stuck
        assert any("their gradients still differ" in note for note in found.notes) == noted


def test_what_is_wrong_with_the_data_is_the_main_finding():
    weights, x = start(), batch(12)
    unscaled = jaxact.diagnose(net, weights, 128 + 60 * x, LABELS)
    assert unscaled.main == "unscaled inputs" and "(because of the inputs)" in str(unscaled)
    assert jaxact.diagnose(net, weights, x, 0 * LABELS).main == "equal labels"
    weights["c"]["kernel"] *= 100
    far = jaxact.diagnose(net, weights, x, LABELS)
    assert "large loss" in [verdict.kind for verdict in far.verdicts] and far.main != "healthy"


def test_the_report_says_what_was_looked_at_and_what_was_not():
    with_labels, without = (str(jaxact.diagnose(net, start(), batch(12), labels)) for labels in (LABELS, None))
    for text in (with_labels, without):
        assert "Nothing wrong was found in what was looked at." in text
        assert "not looked at: " in text and "learning rate" in text.split("not looked at: ")[1]
    assert "labels, loss" in without.split("not looked at: ")[1] and ", labels, loss." in with_labels
