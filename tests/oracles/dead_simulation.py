"""Dead units of real networks at initialisation, counted in plain NumPy: what `prediction` is held against.

    python tests/dead_simulation.py --data-dir DIR                the 16 combinations with a relu output on MNIST
    python tests/dead_simulation.py --part relu --data-dir DIR    relu-X-relu for every X of the catalogue (or sigmoid)

Networks of the study's widths with PyTorch's default initialisation on the first 10,000 training images. Nothing of
`jaxact.theory.prediction` and `jaxact.theory` is used to count. The table shows theory beside the count.
"""

import argparse

import numpy as np
from scipy.special import erf, erfc, expit

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def relu(x):
    return np.maximum(x, 0)


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def softplus(x):
    return np.logaddexp(0, x)


def leaky(slope):
    return lambda x: np.where(x >= 0, x, slope * x)


ACTIVATIONS = {
    "celu": elu,
    "centred_sigmoid": lambda x: np.tanh(x / 2) / 2,
    "elu": elu,
    "erf": erf,
    "gaussian": lambda x: np.exp(-x * x),
    "gelu": lambda x: x * erfc(-x / np.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "identity": lambda x: x,
    "leaky_relu": leaky(0.01),
    "lecun_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "lisht": lambda x: x * np.tanh(x),
    "log_sigmoid": lambda x: -softplus(-x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "prelu": leaky(0.25),
    "relu": relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "rrelu": leaky(11 / 48),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "sigmoid": expit,
    "silu": lambda x: x * expit(x),
    "sine": np.sin,
    "softplus": softplus,
    "softshrink": lambda x: np.sign(x) * relu(np.abs(x) - 0.5),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "swish": lambda x: x * expit(x),
    "tanh": np.tanh,
    "tanhshrink": lambda x: x - np.tanh(x),
    "threshold": lambda x: np.where(x > 1, x, 0),
}
ALIVE = {
    "hard_sigmoid": lambda h: np.abs(h) < 3,
    "hard_silu": lambda h: h > -3,
    "hard_tanh": lambda h: np.abs(h) < 1,
    "hardshrink": lambda h: np.abs(h) > 0.5,
    "relu": lambda h: h > 0,
    "relu6": lambda h: (h > 0) & (h < 6),
    "softshrink": lambda h: np.abs(h) > 0.5,
    "threshold": lambda h: h > 1,
}
"""Where an activation of the catalogue has a slope; the others have one everywhere."""


def dead_shares(x, combinations, widths, units, networks, seed=0):
    """Share of dead output units of each network.

    Args:
        x: inputs [n, d].
        combinations: names of three activations each.
        widths: of the two hidden layers.
        units: outputs per network. More than the study's 10 are cheap and count more exactly: their weights are
            independent, and their distribution depends on the width of the layer before alone.
        networks: how many. All combinations see the same weights.
        seed: of the weights.

    Returns:
        {combination: [networks] shares}.
    """
    found = {names: np.empty(networks) for names in combinations}
    shape = (x.shape[1], *widths, units)
    for k in range(networks):
        rng = np.random.default_rng([seed, k])
        layers = [_layer(rng, *pair) for pair in zip(shape[:-1], shape[1:], strict=True)]
        for first in sorted({names[0] for names in combinations}):
            second = _affine(_apply(first, _affine(x, layers[0])), layers[1])
            for names in combinations:
                if names[0] == first:
                    found[names][k] = _dead(names[2], _apply(names[1], second), layers[2])
    return found


def _layer(rng, fan_in, fan_out):
    bound = fan_in**-0.5
    return rng.uniform(-bound, bound, (fan_in, fan_out)).astype(np.float32), rng.uniform(-bound, bound, fan_out)


def _affine(x, layer):
    return x @ layer[0] + layer[1].astype(np.float32)


def _apply(name, h):
    return ACTIVATIONS[name](h.astype(np.float64)).astype(np.float32)  # x − tanh x cancels in float32


def _dead(name, features, layer, block=2000):
    """A unit that was alive on one block of inputs is not looked at again."""
    kernel, bias = layer
    dead = np.arange(len(bias))
    for start in range(0, len(features), block):
        h = _affine(features[start : start + block], (kernel[:, dead], bias[dead]))
        dead = dead[~ALIVE[name](h).any(axis=0)]
    return len(dead) / len(bias)


def combinations(part):
    """The study's 16 with a relu output, or all activations of the catalogue in the middle."""
    study = ("relu", "sigmoid", "tanh", "selu")
    if part == "study":
        return [(first, second, "relu") for first in study for second in study]
    return [(part, name, "relu") for name in ACTIVATIONS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("study", "relu", "sigmoid"), default="study")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--networks", type=int, default=25)
    options = parser.parse_args()

    from jaxact import data
    from jaxact.config import Config
    from jaxact.theory import prediction

    x = data.load(options.dataset, options.data_dir).train_images[: options.inputs]
    found = dead_shares(x, combinations(options.part), (500, 256), options.units, options.networks)
    print(f"dead of 10 outputs on {len(x)} inputs of {options.dataset}: theory, count ± standard error")
    for names, shares in found.items():
        config = Config(activations=names, widths=(500, 256, 10))
        theory = prediction.predict(config, x.shape[1], prediction.STATISTICS[options.dataset], len(x))
        error = shares.std(ddof=1) / np.sqrt(len(shares))
        print(f"{config.name:30} {theory.expected_dead[-1]:8.3f}  {10 * shares.mean():7.3f} ± {10 * error:.3f}")


if __name__ == "__main__":
    main()
