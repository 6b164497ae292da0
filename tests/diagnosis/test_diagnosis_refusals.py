"""What cannot be diagnosed is refused in one line that shows what was given and what to do."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from oracles.foreign_networks import EXAMPLES, LABELS, TwoLayers, batch, healthy, two_layers

import jaxact
from jaxact.diagnosis import Diagnosis, LayerReport, Verdict

X, APPLY = batch(7), TwoLayers().apply
PARAMS = dict(zip(("Dense_0", "Dense_1"), two_layers(), strict=True))
VARIABLES = {"params": PARAMS}
STATE = TrainState.create(apply_fn=APPLY, params=PARAMS, tx=optax.sgd(0.1))
ROOT = jnp.ones((7, 1))


def refused(match, *arguments, **named):
    with pytest.raises(ValueError, match=match) as caught:
        jaxact.diagnose(*arguments, **named)
    assert type(caught.value) is ValueError and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((None, VARIABLES, X), "apply_fn is None: give a function"),
        ((APPLY, None, X), "variables is None: give .* model.init"),
        ((TwoLayers(), None, X), "variables is None: give .* model.init"),
        ((APPLY, VARIABLES, None), "batch is None: give inputs"),
        ((APPLY, VARIABLES), "batch is None: give inputs"),
        ((VARIABLES, APPLY, X), "apply_fn is a dict: give a function"),
        ((nnx.Linear(7, 5, rngs=nnx.Rngs(0)), X), "a Linear brings its own variables: call diagnose.model, batch="),
        ((STATE, X, LABELS), "a TrainState brings its own variables: call diagnose.model, batch="),
        ((TwoLayers().bind(VARIABLES), X), "a TwoLayers brings its own variables: call diagnose.model, batch="),
    ],
)
def test_missing_and_surplus_arguments(arguments, match):
    refused(match, *arguments)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((APPLY, X, VARIABLES), r"shapes \(6,\) and .* are variables and batch exchanged"),
        (
            (lambda w, x: x @ w["k"], X, {"k": jnp.eye(7)}),
            r"batch k \[7, 7\] float32 and runs with variables and batch",
        ),
        ((APPLY, VARIABLES, LABELS, X), r"shape \(48,\): .* are these the labels"),
        ((APPLY, VARIABLES, X, X), r"labels have shape \(48, 7\), the batch 48 examples: give one per example"),
    ],
)
def test_arguments_in_the_wrong_order(arguments, match):
    refused(match, *arguments)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (X[:0], r"shape \(0, 7\): give .* at least 1 example"),
        ({"x": X[:0]}, r"shape \(0, 7\): give .* at least 1 example"),
        (X[0], r"shape \(7,\): give .*x\[None\]"),
        (X[:, :3], r"batch \[48, 3\] float32 does not fit the variables .*\(7, 6\)"),
        ({"x": X, "y": X[:9]}, r"shapes \(48, 7\) and \(9, 7\): every part needs the same first axis"),
        ((X, 0.5), r"shapes \(48, 7\) and \(\): every part needs the same first axis"),
        ((X, X.at[0, 0].set(jnp.nan)), "1 of the 672 entries of the batch are NaN or infinite"),
        ({}, "holds no array"),
        (np.array(["a", "b"]), "the batch is a ndarray, not numbers"),
        ([[1.0, 2.0], [3.0]], "the batch is a list, not numbers of one shape"),
        (iter([X]), "an argument is a list_iterator: take one batch from it, next"),
    ],
)
def test_a_batch_that_is_none(given, match):
    refused(match, APPLY, VARIABLES, given)


@pytest.mark.parametrize(
    ("apply_fn", "match"),
    [
        (lambda v, x: APPLY(v, x).mean(0), r"returned \(5,\) for a batch of 48"),
        (lambda v, x: APPLY(v, x).sum(), r"returned \(\) for a batch of 48"),
        (lambda v, x: APPLY(v, x) @ APPLY(v, x).T, r"returned \(1, 1\) for a batch of 1"),
        (lambda v, x: {"logits": APPLY(v, x)}, "returned dict for a batch of 48"),
        (lambda v, x: APPLY(v, x).argmax(-1), "returned int32, which has no gradient: return logits"),
        (lambda v, x: (x @ ROOT).squeeze()[:, None], r"takes 48 examples but not 1 \(.*a squeeze without its axis"),
        (
            lambda v, x: nn.Dropout(0.5, deterministic=False).apply({}, x),
            "draws random numbers, as dropout .*train=False",
        ),
        (lambda v: v, r"batch \[48, 7\] float32 with TypeError: .*check that it takes \(variables, batch\)"),
        (lambda v, x: x if x.sum() > 0 else -x, "with TracerBoolConversionError: "),
        (lambda v, x: v["weights"], "with KeyError: 'weights'"),
    ],
)
def test_a_function_that_is_no_network(apply_fn, match):
    refused(match, apply_fn, VARIABLES, X)


def print_nothing():
    pass


def test_variables_that_lack_something_or_are_no_arrays():
    model, variables, x = healthy()
    for some in (variables["params"], {"params": variables["params"]}):
        refused('variables lack something .*"batch_stats".*give all that model.init returned', model.apply, some, x)
    refused("variables at name is a str, not numbers", APPLY, {"name": "net", **VARIABLES}, X)
    refused("variables at phi is a function, not numbers", APPLY, {"phi": print_nothing, **VARIABLES}, X)


def test_batch_norm_that_would_update_its_averages():
    model, variables, x = healthy()
    refused(
        "updates its variables, as batch norm does in training mode .*train=False",
        lambda variables, x: model.apply(variables, x, train=True),
        variables,
        x,
    )


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: jax.jit(lambda v: jaxact.diagnose(APPLY, v, X).ok)(VARIABLES), id="jit"),
        pytest.param(lambda: jax.jit(lambda: jaxact.diagnose(APPLY, VARIABLES, X).ok)(), id="jit around constants"),
        pytest.param(lambda: jax.grad(lambda v: jaxact.diagnose(APPLY, v, X, LABELS).loss)(VARIABLES), id="grad"),
        pytest.param(lambda: jax.vmap(lambda x: jaxact.diagnose(APPLY, VARIABLES, x).loss)(X[None]), id="vmap"),
        pytest.param(lambda: jax.jit(lambda state: jaxact.diagnose(state, batch=X).ok)(STATE), id="of a train state"),
        pytest.param(lambda: jax.jit(lambda y: jaxact.diagnose(APPLY, VARIABLES, X, y).ok)(LABELS), id="labels"),
    ],
)
def test_a_call_where_arrays_have_no_values(call):
    with pytest.raises(ValueError, match="inside jit, grad or vmap, .* call it outside"):
        call()


def diagnosis(**changes):
    nothing = float("nan")
    layer = LayerReport("a", "relu", 3, 0.5, nothing, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, nothing, nothing, nothing, False)
    entries = {"layers": (layer,), "verdicts": (), "notes": (), "examples": 4, "singular_values": (2.0, 1.0)}
    return Diagnosis(**entries | {"condition": 2.0, "effective_rank": nothing, "loss": nothing} | changes)


def test_a_diagnosis_is_true_where_nothing_wrong_was_found():
    fault = Verdict("dead", "a", 1.0, 0.5, "all are dead", "revive them")
    healthy, dead = diagnosis(), diagnosis(verdicts=(fault,))
    assert healthy and healthy.ok is True and diagnosis(notes=("few examples",)).ok
    assert not dead and dead.ok is False and dead.main == "dead"


def test_equal_diagnoses_are_equal_and_hash_alike():
    """NaN, which stands for what is not defined, equals NaN; every other difference counts."""
    one, same = diagnosis(), diagnosis(loss=float(np.float32("nan")))
    assert one == same and hash(one) == hash(same) and len({one, same}) == 1
    layer = one.layers[0]
    changes = [{"examples": 5}, {"loss": 0.0}, {"notes": ("x",)}, {"singular_values": (2.0,)}]
    changes += [{"layers": (layer._replace(saturated=0.0),)}, {"layers": (layer, layer)}, {"condition": float("inf")}]
    for change in changes:
        assert one != diagnosis(**change)
    assert one != "healthy" and diagnosis(condition=0.0) == diagnosis(condition=-0.0)
    assert hash(diagnosis(condition=0.0)) == hash(diagnosis(condition=-0.0))


def test_a_diagnosis_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        diagnosis().loss = 1.0


def test_two_diagnoses_of_one_network_are_equal():
    batch_of_few = X[: EXAMPLES // 2]
    one, two = (jaxact.diagnose(APPLY, VARIABLES, batch_of_few) for _ in range(2))
    assert one == two and hash(one) == hash(two)
