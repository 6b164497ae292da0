"""What the parts of `experiments.depth` share: data, activations, theory and drawn stacks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxact import activations as catalogue
from jaxact import data, numerics
from jaxact import theory as mf
from jaxact.classics.depth.plan import DepthPlan
from jaxact.classics.depth.stack import Phis, Stack, draw_stacks
from jaxact.classics.depth.theory import Theory, critical_init, layer_inits, mean_field_phi, predict
from jaxact.training import INIT, seed_key

Rows = list[dict[str, Any]]
DRAW, PROBE, INPUT = range(3)


class Combination(NamedTuple):
    """An activation and an initialiser, with its law of the weights and what theory says of the deepest stack."""

    activation: str
    init: str
    law: str | mf.Init
    predicted: Theory


class Lab:
    """The plan with the data, the activations and the mean-field theory of each, made once."""

    def __init__(self, plan: DepthPlan) -> None:
        """Load the data and prepare the activations."""
        self.plan, self.deepest = plan, max(plan.depths)
        self.data = data.load("digits")
        self.source = self.data.source
        self.q0 = mf.input_statistics(self.data.train_images).q
        self.features, self.classes = self.data.train_images.shape[1], int(self.data.train_labels.max()) + 1
        self.phis = Phis(plan.activations)
        self.combinations: list[Combination] = []
        self.theory: Rows = []
        everyone = list(dict.fromkeys([*plan.activations, *plan.theory]))
        for done, name in enumerate(everyone, start=1):
            found = self._combine(name)
            self.combinations += found if name in plan.activations else []
            self.theory += [self._row(one) for one in found]
            if not done % 6 or done == len(everyone):
                print(f"theory: {done} of {len(everyone)} activations", flush=True)

    def _combine(self, name: str) -> list[Combination]:
        phi = mean_field_phi(catalogue.get(name))
        found: list[Combination] = []
        for init in self.plan.inits:
            try:
                law = critical_init(phi)[0] if init == "critical" else init
                inits = layer_inits(init, phi, self.features, self.plan.wide, self.deepest)
                predicted = predict(phi, inits, self.q0)
            except ValueError as error:
                print(f"{name}, {init}: left out, {error}", flush=True)
                continue
            found.append(Combination(name, init, law, predicted))
        return found

    def _row(self, one: Combination) -> dict[str, Any]:
        theory = one.predicted
        scale = None if np.isnan(theory.correlation_scale) else theory.correlation_scale
        return {
            "activation": one.activation, "init": one.init, "depth": self.deepest,
            "variance": float(theory.q[-1]), "chi": theory.chi,
            "gradient_scale": theory.gradient_scale, "correlation_scale": scale,
        }  # fmt: skip

    def which(self, name: str) -> int:
        """Index of an activation of the plan, for `phis`."""
        return self.plan.activations.index(name)

    def key(self, *folds: int) -> Key[Array, ""]:
        """A key for one purpose."""
        key = numerics.key(0)
        for fold in folds:
            key = jax.random.fold_in(key, fold)
        return key


class Draws:
    """Stacks of the plan's greatest depth, one per seed: shallower ones are their first layers."""

    def __init__(self, lab: Lab, width: int, seeds: Sequence[int]) -> None:
        """Remember what to draw."""
        self.lab, self.width, self.named = lab, width, {}
        self.keys = jax.vmap(lambda seed: seed_key(seed, INIT))(np.asarray(seeds))

    def stacks(self, law: str | mf.Init) -> Stack:
        """The stacks of one law; those of a named initialiser are kept, since they serve every activation."""
        if law in self.named:
            return self.named[law]
        lab = self.lab
        drawn = draw_stacks(self.keys, law, lab.features, self.width, lab.deepest, lab.classes)
        if isinstance(law, str):
            self.named[law] = drawn
        return drawn
