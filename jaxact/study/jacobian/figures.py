"""The figures of `experiments.jacobian`: gradients by layer, spectra of Jacobians, dead and saturated units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxact.report.figures import figure, panels, save
from jaxact.study.jacobian.measure import LAYER_EXAMPLES, Measured, Results
from jaxact.study.jacobian.tables import layer_quantities, up_to_rank

START, END, GREY, COLOURS = "#0072B2", "#D55E00", "#777777", ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's palette, which colour-blind readers tell apart."""
PANELS = 12
"""Configurations drawn at most; the tables have all."""
TINY = 1e-9


def draw(results: Results, out: Path) -> dict[str, str]:
    """Write the three figures.

    Returns:
        File name → caption.
    """
    shown = list(results.configs.values())[:PANELS]
    epochs = shown[0].look.spectral_norms.shape[1] - 1
    more = f" The first {PANELS} of {len(results.configs)} configurations." if len(results.configs) > PANELS else ""
    end = f", orange: after epoch {epochs}" if epochs else ""
    captions = {
        "gradients.png": f"Norm of the gradient at the pre-activations of each layer, mean over seeds (thin: every "
        f"seed); blue: initialisation{end}. Crosses: mean-field theory at initialisation; bounds: the output "
        f"layer's gradient times Π sup|φ′|, without and with the spectral norms of the kernels.",
        "spectra.png": f"Singular values of Jacobians, median and 5–95 % of seeds and examples (whole layers: "
        f"{LAYER_EXAMPLES} examples per seed); blue: initialisation{end}. Values that are 0 but for rounding are not "
        f"drawn. Dashed: the root mean square that mean-field theory expects.",
        "units.png": "Units that are dead (φ′ exactly 0 on the whole test set) and cases with |φ′| below 5 % of its "
        "largest, saturated or, with a ReLU, off, by layer, mean over seeds with the range of the seeds.",
    }
    for name, paint in {"gradients.png": _gradients, "spectra.png": _spectra, "units.png": _units}.items():
        save(paint(shown, epochs), out / name, colours=64)
    return {name: caption + more for name, caption in captions.items()}


def _layer_ticks(measured: Measured) -> list[str]:
    return [f"{i}\n{name}" for i, name in enumerate(measured.config.activations, start=1)]


def _gradients(shown: Sequence[Measured], epochs: int) -> Any:
    drawn, axes = panels(len(shown), 2, 5.4, 3.9)
    for axis, measured in zip(axes, shown, strict=True):
        found, layers = layer_quantities(measured), np.arange(1, len(measured.config.widths) + 1)
        norms = found["gradient_norm"].values
        for time, colour, name in ((0, START, "start"), (epochs, END, "end"))[: 1 + (epochs > 0)]:
            output = norms[:, time, -1:]
            none = int((output == 0).sum())
            said = f" ({none} of {len(norms)} seeds exactly 0)" if none else ""
            for seed in norms[:, time]:
                axis.plot(layers, _positive(seed), color=colour, lw=0.5, alpha=0.35)
            mean = _positive(norms[:, time].mean(0))
            axis.plot(layers, mean, color=colour, lw=2, marker="o", ms=5, label=f"{name}{said}")
            for bound, style in (("norm_bound", ":"), ("slope_bound", "--"))[: 2 - (time > 0)]:
                line = (output * found[bound].values[:, time]).mean(0)
                label = {"norm_bound": "bound with ‖W‖₂", "slope_bound": "Π sup|φ′|"}[bound]
                hue = GREY if style == "--" else colour
                axis.plot(layers, _positive(line), style, color=hue, lw=1.3, label=f"{label}, {name}")
        if (theory := found["attenuation_total"].theory) is not None:
            expected = norms[:, 0, -1].mean() * theory
            axis.plot(layers, _positive(expected), "x", color="black", ms=8, mew=1.6, label="mean field, start")
        axis.set(yscale="log", title=measured.config.name, ylabel="‖∂ℓ/∂h‖, root mean square")
        axis.set_xticks(layers, _layer_ticks(measured))
        _plain_logarithmic(axis)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=7)
    return drawn


def _plain_logarithmic(axis: Any) -> None:
    """Ticks 1, 2, 5 of every decade as plain numbers where there are few decades, the decades alone where many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_ylim()
    steps = (1, 2, 5) if high / low < 1e3 else (1,)
    axis.yaxis.set_major_locator(LogLocator(subs=steps))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _positive(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


def _spectra(shown: Sequence[Measured], epochs: int) -> Any:
    columns = 1 + max(len(measured.config.widths) for measured in shown)
    drawn = figure(3.1 * columns, 2.7 * len(shown))
    axes = drawn.subplots(len(shown), columns, squeeze=False)
    for row, measured in zip(axes, shown, strict=True):
        config, look = measured.config, measured.look
        stack = measured.theory.stack if measured.theory else None
        names = [f"layer {i}, {name}" for i, name in enumerate(config.activations, start=1)]
        rms = [None] * (1 + len(names))
        if stack:
            rms = [config.widths[-1] * stack.chi_product[-1], *stack.jacobian]
        quantities = zip(row, ["∂logits/∂x", *names], [look.spectrum, *look.layer_spectra], rms, strict=True)
        for axis, name, spectrum, expected in quantities:
            top = 0.0
            for time, colour in ((0, START), (epochs, END))[: 1 + (epochs > 0)]:
                top = max(top, float(np.nanmax(spectrum.singular_values[:, time], initial=0)))
                values = up_to_rank(spectrum, time)
                _band(axis, values.reshape(-1, values.shape[-1]), colour)
            if expected is not None:
                count = spectrum.singular_values.shape[-1]
                axis.axhline(np.sqrt(expected / count), color=GREY, ls="--", lw=1)
            axis.set_title(name, fontsize=9)
            if top > 0:
                axis.set(yscale="log", ylim=(_lowest(axis, top), 2 * top))
                _plain_logarithmic(axis)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.grid(alpha=0.25)
            axis.tick_params(labelsize=8)
        row[0].set_ylabel(config.name + "\nsingular value", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("number", fontsize=8)
    return drawn


def _band(axis: Any, values: np.ndarray, colour: str) -> None:
    values = values[~np.isnan(values).any(-1)]
    if not values.size:
        return
    low, middle, high = (_positive(line) for line in np.quantile(values, (0.05, 0.5, 0.95), axis=0))
    number, floor = np.arange(1, values.shape[-1] + 1), values.max() * TINY
    axis.fill_between(number, np.fmax(low, floor), np.fmax(high, floor), color=colour, alpha=0.2, lw=0)
    axis.plot(number, middle, color=colour, lw=1.4, marker="o" if len(number) < 30 else None, ms=3)


def _lowest(axis: Any, top: float) -> float:
    drawn = np.concatenate([line.get_ydata() for line in axis.get_lines()] or [np.array([top])])
    drawn = drawn[np.isfinite(drawn)]
    return float(drawn.min() / 3) if drawn.size else top / 10


def _units(shown: Sequence[Measured], epochs: int) -> Any:
    drawn, axes = panels(len(shown), 2, 5.4, 3.5)
    for axis, measured in zip(axes, shown, strict=True):
        found, times = layer_quantities(measured), np.arange(epochs + 1)
        dead = 100 * found["dead_units"].values / np.array(measured.config.widths)
        flat = 100 * found["saturated_share"].values
        for i, name in enumerate(measured.config.activations):
            colour = COLOURS[i % len(COLOURS)]
            for values, style, marker, label in ((dead, "-", "o", "dead"), (flat, "--", "s", "saturated or off")):
                own = values[..., i]
                axis.fill_between(times, own.min(0), own.max(0), color=colour, alpha=0.12, lw=0)
                said = f"{label}, layer {i + 1} ({name})"
                axis.plot(times, own.mean(0), style, marker=marker, color=colour, mfc="none", label=said)
        axis.set(title=measured.config.name, xlabel="epoch", ylabel="%", ylim=(-3, 140), yticks=range(0, 101, 20))
        axis.set_xticks(times[:: 1 + len(times) // 12])
        axis.grid(alpha=0.25)
        axis.legend(fontsize=7, ncols=2, loc="upper center")
    return drawn
