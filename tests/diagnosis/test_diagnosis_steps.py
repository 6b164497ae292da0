"""One step of an optimiser: against gradient descent written out, and each limit from both sides."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from oracles.signal_networks import report

import jaxact
from jaxact.diagnosis import steps
from jaxact.diagnosis.verdicts import DEAD_SHARE, FEW_EXAMPLES
from jaxact.museum.networks import classifier, clusters, cross_entropy, draw


def found(dead=0.0, after=0.0, losses=(2.0, 2.0), examples=FEW_EXAMPLES, saturates=False):
    layers = [report("first", dead=dead, saturates=saturates)._replace(update=0.1), report("last")._replace(update=2.0)]
    verdicts = steps.step_checks(layers, [after, 0.0], losses, 10, examples)
    return [(verdict.kind, verdict.layer) for verdict in verdicts]


def test_what_a_step_kills():
    assert found(after=DEAD_SHARE + 0.01) == [("large step", "first")] and not found(after=DEAD_SHARE)
    assert not found(dead=DEAD_SHARE + 0.01, after=1.0)  # it was dead before
    assert not found(after=DEAD_SHARE + 0.01, examples=FEW_EXAMPLES - 1) and not found(after=1.0, saturates=True)


def test_what_a_step_does_to_the_loss():
    limit = math.log(10) + steps.RISE
    assert not found(losses=(2.0, limit - 1e-6)) and found(losses=(2.0, limit + 1e-6)) == [("large step", "last")]
    assert found(losses=(5.0, 6.1)) and not found(losses=(5.0, 5.9)) and found(losses=(2.0, math.nan))


def test_ratios_are_those_of_gradient_descent_written_out():
    x, y = clusters(0)
    variables = draw(0)
    slopes = jax.grad(lambda some: cross_entropy(classifier(some, x), y))(variables)
    seen = jaxact.diagnose(classifier, variables, x, y, optimizer=0.1)
    by_optax = jaxact.diagnose(classifier, variables, x, y, optimizer=optax.sgd(0.1))
    for layer, other in zip(seen.layers, by_optax.layers, strict=True):
        kernel, slope = (np.asarray(tree[layer.name]["kernel"], np.float64) for tree in (variables, slopes))
        assert layer.update == pytest.approx(0.1 * np.linalg.norm(slope) / np.linalg.norm(kernel), rel=1e-4)
        assert other.update == pytest.approx(layer.update, rel=1e-5)
    assert "|dW|/|W|" in str(seen) and "the first step" in str(seen) and "learning rate" not in str(seen)
    without = jaxact.diagnose(classifier, variables, x, y)
    assert math.isnan(without.layers[0].update) and "|dW|/|W|" not in str(without) and "learning rate" in str(without)


def test_an_optimiser_that_tells_parameters_apart_sees_their_names():
    """Only the head moves; in a Flax collection and in a plain dict."""
    x, y = clusters(0)
    optimizer = optax.multi_transform(
        {"moving": optax.sgd(0.1), "frozen": optax.set_to_zero()},
        lambda tree: {name: "moving" if name == "Dense_2" else "frozen" for name in tree},
    )
    plain = jaxact.diagnose(classifier, draw(0), x, y, optimizer=optimizer)
    tree = {"params": draw(0)}
    flax = jaxact.diagnose(lambda tree, x: classifier(tree["params"], x), tree, x, y, optimizer=optimizer)
    wanted = jaxact.diagnose(classifier, draw(0), x, y, optimizer=0.1).layers[2].update
    for found in (plain, flax):
        assert [layer.update for layer in found.layers] == [0, 0, pytest.approx(wanted, rel=1e-5)]


def test_an_optimiser_that_needs_more_than_a_gradient_is_one_line():
    x, y = clusters(0)
    with pytest.raises(ValueError, match="the optimizer cannot take its first step") as error:
        jaxact.diagnose(classifier, draw(0), x, y, optimizer=optax.lbfgs())
    assert "\n" not in str(error.value)


def test_a_kernel_of_0_has_no_ratio_and_the_words_say_so():
    head = report("head", dead=0.0)._replace(update=math.nan)
    (verdict,) = steps.step_checks([head], [1.0], (2.0, 2.0), 10, FEW_EXAMPLES)
    assert "nan" not in verdict.text and "was 0 before" in verdict.text


@pytest.mark.parametrize("optimizer", [0, -0.1, math.inf, math.nan, "adam", True])
def test_what_is_no_optimiser_is_one_line(optimizer):
    with pytest.raises(ValueError, match="give an Optax optimiser, or the learning rate") as error:
        steps.check_optimizer(optimizer, jnp.zeros(3, int))
    assert "\n" not in str(error.value) and repr(optimizer) in str(error.value)


def test_an_optimiser_needs_labels():
    with pytest.raises(ValueError, match="optimizer needs labels"):
        jaxact.diagnose(classifier, draw(0), clusters(0)[0], optimizer=0.1)
