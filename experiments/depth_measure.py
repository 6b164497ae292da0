"""The parts of `experiments.depth`: each computes its tables, rows of plain values in a fixed order."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.progress import progress

if TYPE_CHECKING:
    from experiments.depth import Plan

Rows = list[dict[str, Any]]
TEN = np.log(10)
EXAMPLES = 4  # inputs per network of part gradients
PROBES = 64  # training examples on which the layers of trained stacks are measured
DYING_WIDTHS = (2, 3, 4, 6, 10)
DYING_INPUTS = (1, PROBES)
DRAW, PROBE, INPUT = range(3)


class Lab:
    """The plan with the data, the activations and the mean-field theory of each, made once."""

    def __init__(self, plan: "Plan") -> None:
        """Load the data and prepare the activations."""
        from jaxact import data, depth
        from jaxact import meanfield as mf

        self.plan, self.deepest = plan, max(plan.depths)
        self.data = data.load("digits")
        self.source = self.data.source
        self.q0 = mf.input_statistics(self.data.train_images).q
        self.features, self.classes = self.data.train_images.shape[1], int(self.data.train_labels.max()) + 1
        self.phis = depth.Phis(plan.activations)
        self.mean_field = [depth.mean_field_phi(entry) for entry in self.phis.entries]
        self.combinations = list(self._combinations())

    def _combinations(self) -> Iterator[tuple[int, str, Any, Any]]:
        from jaxact import depth

        for which, phi in enumerate(self.mean_field):
            for init in self.plan.inits:
                try:
                    law = depth.critical_init(phi)[0] if init == "critical" else init
                    inits = depth.layer_inits(init, phi, self.features, self.plan.wide, self.deepest)
                except ValueError as error:
                    print(f"{self.plan.activations[which]}, {init}: left out, {error}", flush=True)
                    continue
                yield which, init, law, depth.predict(phi, inits, self.features, self.plan.wide, self.q0)

    def key(self, *folds: int) -> Any:
        """A key for one purpose."""
        import jax

        key = jax.random.key(0)
        for fold in folds:
            key = jax.random.fold_in(key, fold)
        return key


def theory(lab: Lab) -> Rows:
    """What mean-field theory says of every activation and initialiser."""
    return [
        {"activation": lab.plan.activations[which], "init": init, "depth": lab.deepest}
        | {"variance": float(theory.stack.q[-1]), "chi": theory.chi, "gradient_scale": theory.gradient_scale}
        | {"correlation_scale": None if np.isnan(theory.correlation_scale) else theory.correlation_scale}
        for which, init, _, theory in lab.combinations
    ]


def chain(lab: Lab) -> dict[str, Rows]:
    """|∂x^r/∂x^0| of width-1 chains beside the bound, for every activation and law of the weight."""
    import jax

    from jaxact import depth

    keys = jax.random.split(lab.key(DRAW), lab.plan.chains)
    x = jax.random.normal(lab.key(INPUT), (lab.plan.chains,))

    @jax.jit
    def logs_of(weights: Any, biases: Any, which: Any) -> Any:
        return jax.vmap(lambda w, b, x: depth.chain_log_gradients(w, b, lab.phis, which, x))(weights, biases, x)

    rows: Rows = []
    for law, init in depth.CHAIN_LAWS.items():
        drawn = jax.jit(jax.vmap(lambda key, init=init: depth.draw_chain(key, init, lab.deepest)))(keys)
        for which, entry in enumerate(lab.phis.entries):
            logs = np.asarray(logs_of(*drawn, which), np.float64)
            assert entry.lipschitz is not None
            rows += [_chain_row(entry.spec, law, r, logs[:, r - 1], entry.lipschitz) for r in range(1, lab.deepest + 1)]
    print(f"chain: {lab.plan.chains} chains of {lab.deepest} units, {len(depth.CHAIN_LAWS)} laws", flush=True)
    return {"chain": sorted(rows, key=lambda row: (lab.plan.activations.index(row["activation"]), row["law"]))}


def _chain_row(activation: str, law: str, r: int, logs: np.ndarray, slope: float) -> dict[str, Any]:
    bound = r * np.log10(slope)
    mean, rms = log_mean(logs) / TEN, log_mean(2 * logs) / 2 / TEN
    # A hair of room: |w| = 1 at φ'(0) meets the bound exactly, up to rounding.
    above = float(np.mean(logs > bound * TEN + 1e-4))
    row = {"activation": activation, "law": law, "length": r, "log10_bound": float(bound), "log10_mean": mean}
    return row | {"log10_rms": rms, "log10_median": float(np.median(logs)) / TEN, "share_above_bound": above}


def log_mean(logs: np.ndarray, axis: Any = None) -> Any:
    """Logarithm of the mean of exp(logs); −inf where all are."""
    with np.errstate(divide="ignore"):
        peak = np.max(logs, axis=axis, keepdims=True)
        shift = np.where(np.isfinite(peak), peak, 0)
        mean = np.log(np.mean(np.exp(logs - shift), axis=axis)) + shift.squeeze(axis)
    return float(mean) if np.ndim(mean) == 0 else mean


def gradients(lab: Lab) -> dict[str, Rows]:
    """√APJN of wide stacks at initialisation, every layer of stacks of the plan's depths, beside mean-field theory."""
    import jax

    from jaxact import depth

    plan = lab.plan
    probes = jax.random.normal(lab.key(PROBE), (plan.networks, EXAMPLES, plan.wide))
    images = lab.data.train_images[: plan.networks * EXAMPLES]
    images = np.resize(images, (plan.networks, EXAMPLES, lab.features))

    @jax.jit
    def logs_of(stacks: Any, which: Any) -> Any:
        one = jax.vmap(lambda s, x, v: depth.log_apjn(s, lab.phis, which, x, v), in_axes=(None, 0, 0))
        return jax.vmap(one)(stacks, images, probes)

    rows: Rows = []
    draws = Draws(lab, plan.wide, range(plan.networks))
    for done, (which, init, law, predicted) in enumerate(lab.combinations, start=1):
        logs = np.asarray(logs_of(draws.stacks(init, law), which), np.float64)
        for length in plan.depths:
            with np.errstate(divide="ignore"):
                theory = np.log10(predicted.stack.apjn[length - 1, :length]) / 2
            head = {"activation": plan.activations[which], "init": init, "width": plan.wide, "depth": length}
            rows += _gradient_rows(head, logs[:, :, length - 1, :length], theory)
        if not done % len(plan.inits):
            print(f"gradients: {done} of {len(lab.combinations)} combinations at initialisation", flush=True)
    return {"gradients": rows}


def _gradient_rows(head: dict[str, Any], logs: np.ndarray, theory: np.ndarray) -> Rows:
    """Rows of one stack depth, from ln APJN [networks, examples, layers]."""
    rms = log_mean(logs, axis=(0, 1)) / 2 / TEN
    per_network = log_mean(logs, axis=1) / 2 / TEN
    with np.errstate(invalid="ignore"):
        typical, low, high = np.median(per_network, 0), per_network.min(0), per_network.max(0)
    columns = {"log10_predicted": theory, "log10_rms": np.atleast_1d(rms), "log10_median": typical}
    columns |= {"log10_min": low, "log10_max": high}
    return [
        head | {"layer": layer + 1} | {name: float(column[layer]) for name, column in columns.items()}
        for layer in range(logs.shape[2])
    ]


class Draws:
    """Stacks of the plan's greatest depth, drawn once per law: shallower ones are their first layers."""

    def __init__(self, lab: Lab, width: int, seeds: Any) -> None:
        """Remember what to draw."""
        self.lab, self.width, self.seeds, self.drawn = lab, width, np.asarray(list(seeds)), {}

    def stacks(self, init: str, law: Any) -> Any:
        """One stack per seed; those of a named initialiser are the same for every activation."""
        import jax

        from jaxact import depth
        from jaxact.training import INIT, seed_key

        lab, width = self.lab, self.width

        def draw(law: Any, seeds: Any) -> Any:
            def one(seed: Any) -> Any:
                return depth.init_stack(seed_key(seed, INIT), law, lab.features, width, lab.deepest, lab.classes)

            return jax.vmap(one)(seeds)

        # The seeds are an argument, because a program without one is evaluated by the compiler, slowly.
        if init == "critical":
            self.drawn.setdefault(init, jax.jit(draw))
            return self.drawn[init](law, self.seeds)
        if init not in self.drawn:
            self.drawn[init] = jax.jit(lambda seeds: draw(law, seeds))(self.seeds)
        return self.drawn[init]


def training(lab: Lab) -> dict[str, Rows]:
    """Accuracy after the budget for every activation, initialiser and depth, and the layers before and after."""
    import jax

    from jaxact import depth, ensemble

    plan = lab.plan
    mesh, strategy = ensemble.make_mesh(), ensemble.resolve_strategy("auto")
    member = depth.make_member(lab.phis, plan.epochs, plan.batch_size, PROBES)
    run = ensemble.over_members(member, mesh, strategy, (False, True, False, False, True, True, True, True))
    full = len(lab.data.train_images) // plan.batch_size * plan.batch_size
    data = lab.data.train_images[:full], lab.data.train_labels[:full], lab.data.test_images, lab.data.test_labels
    draws = Draws(lab, plan.width, plan.seeds)
    each = len(plan.learning_rates) * len(plan.seeds)
    runs: Rows = []
    layers: Rows = []
    with progress(len(lab.combinations) * len(plan.depths) * each * plan.epochs, "training") as bar:
        for length in plan.depths:
            for which, init, law, _ in lab.combinations:
                stacks = depth.prefix(draws.stacks(init, law), length)
                order = [(rate, i) for rate in plan.learning_rates for i in range(len(plan.seeds))]
                padded = order + [order[-1]] * (-len(order) % mesh.size)
                index = np.array([i for _, i in padded])
                members = jax.tree.map(lambda leaf, index=index: leaf[index], stacks)
                rates = np.array([rate for rate, _ in padded], np.float32)
                outcome = jax.device_get(run(members, np.int32(which), rates, np.array(plan.seeds)[index], *data))
                head = {"activation": plan.activations[which], "init": init, "width": plan.width, "depth": length}
                runs += _run_rows(head, plan, order, outcome)
                layers += _layer_rows(head, plan, outcome)
                bar.advance(each * plan.epochs)
            bar.say(f"training: depth {length}")
    position = {name: i for i, name in enumerate(plan.activations)}
    place = {name: i for i, name in enumerate(plan.inits)}
    by = lambda row: (position[row["activation"]], place[row["init"]], row["depth"])  # noqa: E731
    return {"training": sorted(runs, key=by), "layers": sorted(layers, key=by)}


def _run_rows(head: dict[str, Any], plan: "Plan", order: list[tuple[float, int]], outcome: Any) -> Rows:
    best = best_rate(plan, outcome)
    return [
        head
        | {"learning_rate": rate, "seed": plan.seeds[i], "best_rate": int(rate == plan.learning_rates[best])}
        | {"train_loss": float(outcome.loss[k, -1]), "train_accuracy": float(outcome.train_accuracy[k])}
        | {"test_accuracy": float(outcome.test_accuracy[k]), "diverged": int(not np.isfinite(outcome.loss[k]).all())}
        for k, (rate, i) in enumerate(order)
    ]


def best_rate(plan: "Plan", outcome: Any) -> int:
    """The learning rate whose seeds end with the largest mean training accuracy; the test set has no say."""
    shape = len(plan.learning_rates), len(plan.seeds)
    members = shape[0] * shape[1]
    finite = np.isfinite(outcome.loss[:members]).all(axis=1)
    return int(np.argmax(np.where(finite, outcome.train_accuracy[:members], 0).reshape(shape).mean(axis=1)))


def _layer_rows(head: dict[str, Any], plan: "Plan", outcome: Any) -> Rows:
    """Rows per layer, before and after training at the best rate, averaged over seeds (gradients: in the logarithm)."""
    best, seeds = best_rate(plan, outcome), len(plan.seeds)
    rows: Rows = []
    for stage in ("before", "after"):
        of_best = [np.asarray(x)[best * seeds : (best + 1) * seeds].mean(axis=0) for x in getattr(outcome, stage)]
        gradient, kernel, saturated, zero, dead = of_best
        rows += [
            head
            | {"stage": stage, "layer": layer + 1, "log10_gradient": float(gradient[layer] / TEN)}
            | {"log10_kernel_gradient": float(kernel[layer] / TEN), "saturated": float(saturated[layer])}
            | {"zero": float(zero[layer]), "dead_units": float(dead[layer])}
            for layer in range(head["depth"])
        ]
    return rows


def dying(lab: Lab) -> dict[str, Rows]:
    """The share of ReLU networks dead by each depth, for one input beside the closed form, and for several inputs."""
    import jax

    from jaxact import depth
    from jaxact import meanfield as mf
    from jaxact.statistics import clopper_pearson

    images = lab.data.train_images[: max(DYING_INPUTS)]
    rows: Rows = []
    for width in DYING_WIDTHS:
        keys = jax.random.split(lab.key(DRAW, width), lab.plan.chains)
        one = lambda key, x, width=width: depth.dead_by_depth(key, x, width, lab.deepest)  # noqa: E731
        dead = np.asarray(jax.jit(jax.vmap(one, in_axes=(0, None)))(keys, images))
        for inputs in DYING_INPUTS:
            counts = dead[:, :, :inputs].all(axis=2).sum(axis=0)
            for length, count in enumerate(counts.tolist(), start=1):
                share, low, high = clopper_pearson(count, lab.plan.chains)
                exact = mf.dying_relu_probability([width] * length) if inputs == 1 else None
                row = {"width": width, "depth": length, "inputs": inputs, "networks": lab.plan.chains, "dead": count}
                rows.append(row | {"share": float(share), "low": float(low), "high": float(high), "closed_form": exact})
        print(f"dying: {lab.plan.chains} networks of width {width}", flush=True)
    return {"dying": rows}
