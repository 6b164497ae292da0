"""The museum: every case is named with its layer, cured networks and twins are healthy, and the symptoms are real.

Symptoms are checked against gradients and losses from JAX alone, without the diagnosis.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxact import diagnose, museum
from jaxact.museum import dead, training
from jaxact.museum.networks import dense

OWN_PROGRAMS = ("dead-ensemble", "wrong-sigmoid-derivative")
"""Those that share their network with no other case: most of their time is compilation."""
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in OWN_PROGRAMS else name for name in museum.CASES]


@pytest.mark.parametrize("name", NAMES)
def test_every_case_is_named_with_its_layer_and_the_cured_one_and_the_twin_are_healthy(name):
    case = museum.case(name)
    assert case.name == name
    found = case.ill.diagnose()
    verdict = found.verdicts[0]
    assert (verdict.kind, verdict.layer, verdict.because) == (case.kind, case.layer, ""), found
    assert not found.ok and verdict.remedy
    causes = {other.kind for other in found.verdicts if not other.because}
    assert causes == {case.kind}, found
    for healthy in (case.cure(case.ill), case.twin):
        other = healthy.diagnose()
        other.assert_healthy()
        assert str(other).startswith("healthy")
    with pytest.raises(AssertionError, match=f"not healthy: {case.kind}\n{case.kind}: "):
        found.assert_healthy()


SEES_NOTHING_OF_IT = ("labels-from-1", "labels-shifted-by-1", "labels-in-another-order")
"""Cases whose loss falls in training as that of healthy ones: the labels are wrong, not the network."""


@pytest.mark.parametrize("name", [name for name in museum.CASES if name not in SEES_NOTHING_OF_IT])
def test_the_cure_repairs_by_the_loss_after_training(name):
    case = museum.case(name)
    ill, cured, twin = (np.asarray(one.train(300)[1]) for one in (case.ill, case.cure(case.ill), case.twin))
    assert cured[-1] < 0.3 * cured[0] and twin[-1] < 0.3 * twin[0]
    assert np.isnan(ill[-1]) or ill[-1] > 2.5 * max(cured[-1], twin[-1])


@pytest.mark.parametrize("name", ["labels-shifted-by-1", "labels-in-another-order"])
def test_the_cure_of_labels_shows_in_the_accuracy(name):
    case = museum.case(name)
    ill, cured, twin = (
        float(np.mean(one.apply_fn(one.variables, one.batch).argmax(1) == one.labels))
        for one in (case.ill, case.cure(case.ill), case.twin)
    )
    assert ill < 0.2 and cured > 0.95 and twin > 0.95


def test_flax_has_the_dead_sixteen_features_too():
    """The case as it was met: a linen module, with the museum's numbers as its parameters."""

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.relu(nn.Dense(8)(x))
            return nn.relu(nn.Dense(1)(x))

    case, network = museum.case("sixteen-features"), Network()
    for specimen in (case.ill, case.twin):
        variables = {"params": specimen.variables}
        own = specimen.apply_fn(specimen.variables, specimen.batch)
        np.testing.assert_allclose(network.apply(variables, specimen.batch), own, atol=1e-6)
        found, wanted = diagnose(network.apply, variables, specimen.batch), specimen.diagnose()
        assert [(v.kind, v.layer) for v in found.verdicts] == [(v.kind, v.layer) for v in wanted.verdicts]


def slopes(specimen):
    def loss(variables):
        return specimen.loss(specimen.apply_fn(variables, specimen.batch), specimen.labels)

    return jax.grad(loss)(specimen.variables)


def dies(specimen):
    return all(not np.any(leaf) for leaf in jax.tree.leaves(slopes(specimen)))


def test_sixteen_features_are_dead_from_some_seeds_and_a_seventeenth_changes_that():
    case = museum.case("sixteen-features")
    assert dies(case.ill) and not dies(case.twin) and not dies(case.cure(case.ill))
    x, y = dead.fractions(0, 17)
    wider = case.ill._replace(variables=dead.draw(dead.DEAD_SEED, (17, *dead.SIXTEEN[1:]), 1.0), batch=x, labels=y)
    assert not dies(wider)


@pytest.mark.parametrize("name", [name for name in museum.CASES if name.startswith("relu-output")])
def test_a_dead_output_predicts_only_zeros_and_has_no_gradient(name):
    case = museum.case(name)
    assert dies(case.ill) and not np.any(case.ill.apply_fn(case.ill.variables, case.ill.batch))
    assert not dies(case.cure(case.ill)) and not dies(case.twin)


def test_a_softmax_of_probabilities_cannot_get_below_its_floor():
    """ln(e + 9) − 1 = 1.461 is met where every answer is right and certain."""
    floor = float(-jax.nn.log_softmax(jnp.eye(10)[0])[0])
    assert floor == pytest.approx(math.log(math.e + 9) - 1, rel=1e-6) and round(floor, 3) == 1.461
    case = museum.case("softmax-twice")
    assert case.ill.diagnose().verdicts[0].limit == pytest.approx(floor, rel=1e-6)
    long = case.ill._replace(rate=10.0).train(300)[1]
    assert floor < long[-1] < long[0] and case.cure(case.ill).train(100)[1][-1] < 0.1


def test_wrong_and_right_derivative_beside_autodiff_of_the_function():
    h = jnp.linspace(-4, 4, 9)
    exact = jax.vmap(jax.grad(jax.nn.sigmoid))(h)
    right, wrong = (jax.vmap(jax.grad(fn))(h) for fn in (training.right_sigmoid, training.wrong_sigmoid))
    np.testing.assert_allclose(right, exact, rtol=1e-5)
    np.testing.assert_allclose(wrong, h * (1 - h), rtol=1e-6)  # as written, x(1 - x)
    assert float(wrong[0]) == -20 and float(exact[0]) == pytest.approx(0.018, abs=5e-4)
    np.testing.assert_allclose(training.wrong_sigmoid(h), jax.nn.sigmoid(h), rtol=1e-6)


def test_members_of_the_dead_ensemble_agree_and_those_of_its_twin_do_not():
    case = museum.case("dead-ensemble")
    ill, twin = (one.apply_fn(one.variables, one.batch) for one in (case.ill, case.twin))
    assert ill.shape == (128, dead.MEMBERS) and float(jnp.ptp(ill)) == 0 and float(twin.std(1).min()) > 0.01


def test_constant_weights_stay_copies_in_training():
    case = museum.case("constant-weights")
    for specimen, equal in ((case.ill, True), (case.twin, False)):
        kernel = np.asarray(specimen.train(100)[0]["Dense_0"]["kernel"])
        assert bool(np.abs(kernel - kernel[:, :1]).max() < 1e-3 * np.abs(kernel).max()) == equal


def test_label_ten_of_ten_classes_adds_nothing_to_a_one_hot_loss():
    ill = museum.case("labels-from-1").ill
    only = np.asarray(ill.labels) == 10
    outputs = ill.apply_fn(ill.variables, ill.batch[only])
    assert only.sum() > 5 and float(ill.loss(outputs, ill.labels[only])) == 0
    shifted = museum.case("labels-shifted-by-1").ill
    answers = shifted.apply_fn(shifted.variables, shifted.batch).argmax(1)
    assert float(np.mean(answers == shifted.labels)) < 0.05 < 0.95 < float(np.mean(answers + 1 == shifted.labels))


def test_the_first_step_kills_units_by_a_plain_count():
    case = museum.case("first-step-kills")

    def off(variables):
        hidden = case.ill.batch
        for name in ("Dense_0", "Dense_1"):
            hidden = jax.nn.relu(dense(variables[name], hidden))
        return float(np.mean(np.all(np.asarray(hidden) == 0, axis=0)))

    after = jax.tree.map(lambda leaf, slope: leaf - case.ill.rate * slope, case.ill.variables, slopes(case.ill))
    verdict = case.ill.diagnose().verdicts[0]
    assert off(case.ill.variables) < 0.1 and verdict.number == pytest.approx(off(after)) and off(after) > 0.5


def test_what_stands_still_is_at_ln_k_and_its_cure_learns():
    case = museum.case("stuck-at-ln-k")
    before, after = np.asarray(case.ill.train(100)[1])[[0, -1]]
    assert before == pytest.approx(math.log(10), abs=1e-3) and after == pytest.approx(before, abs=0.01)
    assert case.cure(case.ill).train(100)[1][-1] < 0.1
    assert "constant outputs" in [verdict.kind for verdict in case.ill.diagnose().verdicts]


def test_what_waits_for_a_zero_head_is_told_from_what_is_dead():
    case = museum.case("zero-kernel-behind-relu")
    found = case.twin.diagnose()
    notes = found.notes
    assert "d output/d input is 0" in str(found) and "condition" not in str(found)  # which would be inf
    wanted = "Dense_0, Dense_1 get their gradient only after Dense_2 has moved"
    assert any(note.startswith(wanted) for note in notes)
    assert not any("only after" in note for note in case.ill.diagnose().notes)
    kernels = [slopes(case.twin)[name]["kernel"] for name in ("Dense_0", "Dense_1", "Dense_2")]
    assert [bool(np.any(kernel)) for kernel in kernels] == [False, False, True]
    moved = case.twin._replace(variables=case.twin.train(1)[0])
    assert all(np.any(slopes(moved)[name]["kernel"]) for name in ("Dense_0", "Dense_1"))


def test_an_unknown_case_is_one_line():
    with pytest.raises(ValueError, match="softmax-twice"):
        museum.case("softmax-twise")
