"""`experiments.jacobian` as a user runs it, on digits, against NumPy in float64 and `jacrev`."""

import csv

import numpy as np
import pytest

from jaxact import training
from jaxact.commands import jacobian as script

NAMES, SEEDS, N = ("relu-sigmoid-relu", "tanh-relu-tanh"), (0, 3), 12


@pytest.fixture(scope="module", params=["none", "1"], ids=["plain", "batch norm"])
def ran(request, tmp_path_factory):
    """A run on digits in this process, whose JAX is already set up, and its options."""
    out = tmp_path_factory.mktemp("jacobian") / "out"
    argv = ["--dataset", "digits", "--config", *NAMES, "--widths", "12", "11", "10", "--seeds", "0,3", "--epochs", "1"]
    argv += ["--examples", str(N), "--limit-train", "500", "--lr", "0.1", "--batch-norm", request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script.runtime, "configure", lambda *_, **__: None)
        patch.setattr("sys.argv", ["jacobian", *argv])
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        assert script.main([*argv, "--out", str(out)]) == 0
    return out, script.plan_from(script.parser().parse_args(argv))


def table(out, name, *keys):
    rows = list(csv.DictReader((out / name).read_text().splitlines()))
    found = {tuple(row[key] for key in keys): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.slow
def test_a_run_leaves_tables_figures_and_a_report(ran):
    out, plan = ran
    pictures = {"gradients.png", "spectra.png", "units.png"}
    assert {path.name for path in out.iterdir()} == pictures | {"layers.csv", "jacobian.csv", "report.md"}
    report = (out / "report.md").read_text()
    assert "python -m experiments.jacobian --dataset digits --config relu-sigmoid-relu" in report
    assert "- packages: jaxact" in report and str(out) not in report and "nan" not in report.lower().split()
    assert all(f"]({name})" in report for name in pictures)
    assert ("statistics of the first 500 training examples" in report) == bool(plan.configs[0].batch_norm)


@pytest.mark.slow
def test_layers_agree_with_numpy_at_initialisation_and_after_training(ran):
    """The same seeds, started and trained here, looked at by hand in float64."""
    import jax

    from jaxact import data

    out, plan = ran
    arrays = data.load("digits", limit_train=500)
    rows = table(out, "layers.csv", "configuration", "epoch", "layer", "quantity")
    for config in plan.configs:
        program = training.make_program(config, plan.choices)
        which = jax.numpy.array(training.which_of(config, plan.choices))
        epoch, (images, labels) = jax.jit(program.epoch), map(jax.numpy.asarray, arrays[:2])
        looks = []
        for seed in SEEDS:
            state = start(program, seed, which, arrays)
            times = [by_hand(config, state, arrays)]
            state, _ = epoch(state, jax.numpy.asarray(seed), which, jax.numpy.asarray(0), images, labels)
            looks.append([*times, by_hand(config, state, arrays)])
        for time in range(2):
            for name in looks[0][0]:
                for layer in range(3):
                    row = rows[config.name, str(time), str(layer + 1), name]
                    values = [look[time][name][layer] for look in looks]
                    assert float(row["mean"]) == pytest.approx(np.mean(values), rel=3e-4, abs=1e-6), name
                    assert float(row["sd"]) == pytest.approx(np.std(values, ddof=1), rel=2e-2, abs=1e-4), name


PHI = {
    "relu": (lambda h: np.maximum(h, 0), lambda h: (h > 0) * 1.0),
    "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
    "sigmoid": (lambda h: 1 / (1 + np.exp(-h)), lambda h: np.exp(-h) / (1 + np.exp(-h)) ** 2),
}


def folded(config, state, images):
    """Kernel and bias per layer in float64, batch norm of layer 1 folded in with the statistics of all `images`."""
    layers = []
    for layer in (1, 2, 3):
        w, b = (np.asarray(state.params[f"dense{layer}"][part], float) for part in ("kernel", "bias"))
        if layer in config.batch_norm:
            h = images.astype(float) @ w + b
            gain = np.asarray(state.params["norm1"]["scale"], float) / np.sqrt(h.var(0) + 1e-5)
            w, b = w * gain, (b - h.mean(0)) * gain + np.asarray(state.params["norm1"]["bias"], float)
        layers.append((w, b))
    return layers


def start(program, seed, which, arrays):
    import jax.numpy as jnp

    return program.initialise(jnp.asarray(seed), which, jnp.asarray(arrays.train_images[0]))


def by_hand(config, state, arrays):
    layers = folded(config, state, arrays.train_images)
    phis = [PHI[name] for name in config.activations]

    def forward(x):
        hidden = []
        for (w, b), (f, _) in zip(layers, phis, strict=True):
            hidden.append(x @ w + b)
            x = f(hidden[-1])
        return hidden, x

    x, y = arrays.train_images.astype(float), arrays.train_labels
    hidden, logits = forward(x)
    p = np.exp(logits - logits.max(1, keepdims=True))
    delta = (p / p.sum(1, keepdims=True) - np.eye(10)[y]) * phis[2][1](hidden[2])
    deltas = [delta]
    for layer in (2, 1):
        deltas.insert(0, deltas[0] @ layers[layer][0].T * phis[layer - 1][1](hidden[layer - 1]))
    norms = np.array([np.sqrt((d**2).sum(1).mean()) for d in deltas])
    slopes = [phis[i][1](hidden[i][:N]) for i in range(3)]
    jacobians = [np.einsum("ni,ji->nij", slopes[i], layers[i][0]) for i in range(3)]
    sup = [{"relu": 1, "tanh": 1, "sigmoid": 0.25}[name] for name in config.activations]
    spectral = [np.linalg.norm(w, 2) for w, _ in layers]
    test, _ = forward(arrays.test_images.astype(float))
    flat = [phis[i][1](test[i]) == 0 for i in range(3)]
    return {
        "gradient_norm": norms,
        "attenuation_total": norms / norms[2],
        "slope_bound": np.array([sup[0] * sup[1], sup[1], 1]),
        "norm_bound": np.array([sup[0] * sup[1] * spectral[1] * spectral[2], sup[1] * spectral[2], 1]),
        "spectral_norm": spectral,
        "jacobian_squared_norm": [(j**2).sum((1, 2)).mean() for j in jacobians],
        "jacobian_largest": [np.linalg.norm(j[:5], 2, (1, 2)).mean() for j in jacobians],
        "negative_share": [(h < 0).mean() for h in test],
        "dead_units": [f.all(0).sum() for f in flat],
    }


@pytest.mark.slow
def test_the_spectrum_end_to_end_is_that_of_jacrev(ran):
    import jax

    from jaxact import data

    out, plan = ran
    arrays = data.load("digits", limit_train=500)
    rows = table(out, "jacobian.csv", "configuration", "epoch", "quantity", "index", "later", "earlier")
    for config in plan.configs:
        program = training.make_program(config, plan.choices)
        which = jax.numpy.array(training.which_of(config, plan.choices))
        found, norms = [], []
        for seed in SEEDS:
            state = start(program, seed, which, arrays)
            layers = [
                (jax.numpy.asarray(w), jax.numpy.asarray(b)) for w, b in folded(config, state, arrays.train_images)
            ]
            phis = [
                {"relu": jax.nn.relu, "tanh": jax.numpy.tanh, "sigmoid": jax.nn.sigmoid}[n] for n in config.activations
            ]

            def network(x, layers=layers, phis=phis):
                for (w, b), phi in zip(layers, phis, strict=True):
                    x = phi(x @ w + b)
                return x

            jacobians = np.asarray(jax.vmap(jax.jacrev(network))(jax.numpy.asarray(arrays.train_images[:N])))
            found.append(np.linalg.svd(jacobians, compute_uv=False))
            norms.append((jacobians**2).sum((1, 2)))
        for k in range(10):
            row, values = rows[config.name, "0", "singular_value", str(k + 1), "", ""], np.array(found)[..., k]
            assert float(row["mean"]) == pytest.approx(values.mean(), rel=1e-3, abs=1e-6)
            assert float(row["q95"]) == pytest.approx(np.sort(values.ravel())[22], rel=1e-3, abs=1e-6)
        row = rows[config.name, "0", "squared_norm", "", "", ""]
        assert float(row["mean"]) == pytest.approx(np.mean(norms), rel=1e-3)
        for later, earlier in ((2, 1), (3, 1), (3, 2)):
            for epoch in "01":
                row = rows[config.name, epoch, "apjn", "", str(later), str(earlier)]
                assert abs(float(row["mean"]) - float(row["hutchinson"])) < 5 * float(row["hutchinson_error"])
