"""The tables of `experiments.jacobian`.

layers.csv has one row per quantity of a layer, jacobian.csv what holds end to end, spectra.csv the singular values of
every layer's Jacobian at the start and at the end.
"""

import csv
import io
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxact import probes
from jaxact.study.jacobian.measure import Measured, Results, units

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LAYER_COLUMNS = (
    *("configuration", "epoch", "layer", "activation", "units", "quantity", "seeds", "mean", "sd", "theory"),
)
JACOBIAN_COLUMNS = (
    *("configuration", "epoch", "quantity", "index", "later", "earlier", "seeds", "mean", "sd"),
    *(f"q{round(100 * level):02d}" for level in QUANTILES),
    *("hutchinson", "hutchinson_error", "theory"),
)
SPECTRA_COLUMNS = (
    *("configuration", "dataset", "epoch", "layer", "activation", "units", "index", "seeds"),
    *(f"q{round(100 * level):02d}" for level in QUANTILES),
)


class Quantity(NamedTuple):
    """One number per layer.

    Attributes:
        values: [seeds, times, layers]; NaN where it is not defined, as of a gradient ratio where there is none.
        theory: [layers], mean-field theory at initialisation; None where there is none.
    """

    values: np.ndarray
    theory: np.ndarray | None = None


def layer_quantities(measured: Measured) -> dict[str, Quantity]:
    """Every quantity of layers.csv by name.

    Shares are of all pre-activations or outputs, numbers are of units; gradients are those of the cross-entropy (nats).
    """
    look, theory = measured.look, measured.theory
    probe, loss = look.probe, look.attenuation
    stack = theory.stack if theory else None
    total = np.sqrt(stack.apjn[-1]) if stack else None
    per_unit = np.array(measured.config.widths)
    norms = look.layer_norms.mean(2)
    return {
        "negative_share": Quantity(probe.negative),
        "sparsity_share": Quantity(probe.sparsity),
        "saturated_share": Quantity(probe.saturated),
        "broken_share": Quantity(probe.broken),
        "dead_units": Quantity(_per_layer(measured, probe.dead), theory.expected_dead if theory else None),
        "nearly_dead_units": Quantity(probe.nearly_dead.astype(float)),
        "never_positive_units": Quantity(probe.never_positive.astype(float)),
        "certified_dead_units": Quantity(probe.certified_dead.astype(float)),
        **_turns(measured),
        "gradient_norm": Quantity(probe.gradient_layers),
        "kernel_gradient_norm": Quantity(probe.gradient_kernels),
        "gradient_coherence": Quantity(_last_only(measured, probe.coherence)),
        "attenuation_total": Quantity(loss.total, total),
        "attenuation_step": Quantity(_pad(loss.step), _pad(total[:-1] / total[1:]) if total is not None else None),
        "slope_bound": Quantity(loss.slope_bound),
        "norm_bound": Quantity(loss.bound),
        "spectral_norm": Quantity(look.spectral_norms),
        "jacobian_squared_norm": Quantity(norms, stack.jacobian if stack else None),
        "chi": Quantity(norms / per_unit, stack.chi if stack else None),
        **{
            f"jacobian_{name}": Quantity(_of_spectra(look.layer_spectra, name))
            for name in ("largest", "rank", "effective_rank", "stable_rank")
        },
        "participation_ratio": Quantity(probe.dimension),
        "mean_square": Quantity(probe.mean_square, stack.q if stack else None),
        "correlation": Quantity(probe.correlation, stack.c if stack else None),
    }


def _per_layer(measured: Measured, flags: np.ndarray) -> np.ndarray:
    return np.stack([units(measured, flags, i).sum(-1) for i in range(len(measured.config.widths))], -1).astype(float)


def _turns(measured: Measured) -> dict[str, Quantity]:
    """Units that came to life for the first time, died, and came back since the time before (`health.lifetimes`)."""
    dead = [units(measured, measured.look.probe.dead, i) for i in range(len(measured.config.widths))]
    lives = [_lifetimes()(flags) for flags in dead]
    names = ("births", "deaths", "revivals")
    return {
        name: Quantity(np.stack([np.asarray(getattr(life, name)) for life in lives], -1).astype(float))
        for name in names
    }


@cache
def _lifetimes() -> Any:
    return jax.jit(jax.vmap(probes.lifetimes))


def _last_only(measured: Measured, coherence: np.ndarray) -> np.ndarray:
    """Mean over the output units that have a gradient, in the last layer's column."""
    moving = coherence > 0
    mean = np.where(moving, coherence, 0).sum(-1) / np.where(moving.any(-1), moving.sum(-1), np.nan)
    empty = np.full((*mean.shape, len(measured.config.widths) - 1), np.nan)
    return np.concatenate([empty, mean[..., None]], -1)


def _pad(steps: np.ndarray) -> np.ndarray:
    """NaN for the last layer, which has no later one."""
    return np.concatenate([steps, np.full((*steps.shape[:-1], 1), np.nan)], -1)


def _of_spectra(spectra: Iterable[Any], name: str) -> np.ndarray:
    values = [s.singular_values[..., 0] if name == "largest" else getattr(s, name) for s in spectra]
    return np.stack([value.mean(-1) for value in values], -1)


def mean_sd(values: np.ndarray) -> tuple[int, float, float]:
    """Number of defined values, their mean and their standard deviation (ddof 1)."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 and np.isfinite(values).all() else np.nan
    return len(values), float(values.mean()) if len(values) else np.nan, sd


def layer_rows(measured: Measured) -> list[tuple[Any, ...]]:
    """The rows of layers.csv of one configuration; what is defined for no seed is left out."""
    config, rows = measured.config, []
    found = layer_quantities(measured)
    for epoch in range(measured.look.spectral_norms.shape[1]):
        for i, (activation, width) in enumerate(zip(config.activations, config.widths, strict=True)):
            head = (config.name, epoch, i + 1, activation, width)
            for name, quantity in found.items():
                seeds, mean, sd = mean_sd(quantity.values[:, epoch, i])
                theory = quantity.theory[i] if quantity.theory is not None and epoch == 0 else np.nan
                if seeds:
                    rows.append((*head, name, seeds, mean, sd, theory))
    return rows


def jacobian_rows(measured: Measured) -> list[tuple[Any, ...]]:
    """The rows of jacobian.csv of one configuration: mean and sd of the seeds' means, quantiles over all examples."""
    look, config = measured.look, measured.config
    stack, rows = measured.theory.stack if measured.theory else None, []
    spectrum = look.spectrum
    names = ("squared_norm", "rank", "condition", "effective_rank", "stable_rank")
    values = spectrum.singular_values.shape[-1]
    layers = len(config.widths)
    for epoch in range(look.spectral_norms.shape[1]):
        head = (config.name, epoch)
        for k in range(values):
            some = _statistics(spectrum.singular_values[:, epoch, :, k])
            rows.append((*head, "singular_value", k + 1, "", "", *some, "", "", np.nan))
        for name in names:
            theory = stack.chi_product[-1] * config.widths[-1] if stack and (name, epoch) == (names[0], 0) else np.nan
            rows.append((*head, name, "", "", "", *_statistics(getattr(spectrum, name)[:, epoch]), "", "", theory))
        for later in range(1, layers + 1):
            for earlier in range(1, later):
                at = (later - 1, earlier - 1)
                estimate, error = hutchinson(measured, epoch)
                theory = stack.apjn[at] if stack and epoch == 0 else np.nan
                some = _statistics(look.apjn[:, epoch, :, *at])
                rows.append((*head, "apjn", "", later, earlier, *some, estimate[at], error[at], theory))
    return rows


def up_to_rank(spectrum: Any, time: int) -> np.ndarray:
    """Singular values [seeds, examples, values] at one time, with 0 for those that are 0 but for rounding."""
    values = spectrum.singular_values[:, time]
    real = np.arange(values.shape[-1]) < spectrum.rank[:, time, :, None]
    return np.where(real | np.isnan(values), values, 0)


def spectra_rows(measured: Measured) -> list[tuple[Any, ...]]:
    """The rows of spectra.csv: quantiles over seeds and examples."""
    config, rows = measured.config, []
    last = measured.look.spectral_norms.shape[1] - 1
    layers = zip(config.activations, config.widths, measured.look.layer_spectra, strict=True)
    for i, (activation, width, spectrum) in enumerate(layers):
        for epoch in dict.fromkeys((0, last)):
            values = up_to_rank(spectrum, epoch)
            head = (config.name, config.dataset, epoch, i + 1, activation, width)
            for k in range(values.shape[-1]):
                seeds, _, _, *quantiles = _statistics(values[..., k])
                rows.append((*head, k + 1, seeds, *quantiles))
    return rows


def hutchinson(measured: Measured, time: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean over the seeds of Hutchinson's estimates [layers, layers], and its standard error."""
    estimate = measured.look.hutchinson
    return estimate.value[:, time].mean(0), np.sqrt((estimate.standard_error[:, time] ** 2).sum(0)) / len(
        estimate.value
    )


def _statistics(values: np.ndarray) -> tuple[float, ...]:
    """Of [seeds, examples]: defined seeds, mean and sd of their means, quantiles over everything defined.

    Quantiles are values that occur: between a finite condition and an infinite one there is nothing to interpolate.
    """
    pooled = values[~np.isnan(values)]
    at = np.quantile(pooled, QUANTILES, method="inverted_cdf") if pooled.size else np.full(len(QUANTILES), np.nan)
    return (*mean_sd(values.mean(1)), *map(float, at))


def tables(results: Results) -> dict[str, str]:
    """File name → text of the tables."""
    found = results.configs.values()
    return {
        "layers.csv": _csv(LAYER_COLUMNS, (row for measured in found for row in layer_rows(measured))),
        "jacobian.csv": _csv(JACOBIAN_COLUMNS, (row for measured in found for row in jacobian_rows(measured))),
        "spectra.csv": _csv(SPECTRA_COLUMNS, (row for measured in found for row in spectra_rows(measured))),
    }


def _csv(columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_show(value) for value in row] for row in rows)
    return text.getvalue()


def _show(value: Any) -> str:
    """Six significant digits; what is not defined stays empty."""
    if not isinstance(value, float | np.floating):
        return str(value)
    return "" if np.isnan(value) else f"{value:.6g}"
