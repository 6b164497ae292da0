"""A LeNet in float64 NumPy, by loops over positions, and made-up images."""

from types import SimpleNamespace

import numpy as np

from jaxact.data import Dataset

SHAPE, WIDTHS = (16, 17, 2), (2, 3, 5, 4, 3)


def toy_images(n, shape, seed=0):
    """Flat images, channel by channel."""
    return np.random.default_rng(seed).normal(size=(n, int(np.prod(shape)))).astype(np.float32)


def _data():
    labels = np.arange(12, dtype=np.int32) % 3
    return Dataset(toy_images(12, (28, 28, 1)), labels, toy_images(9, (28, 28, 1), seed=1), labels[:9], "made by numpy")


CONFIG = SimpleNamespace(
    data=_data(),
    options={"dataset": "mnist", "widths": WIDTHS, "architecture": "lenet", "batch_size": 4, "epochs": 1},
)


def numpy_parts(variables):
    """[(kernel, bias)] per layer, float64, writable."""
    names = ("conv1", "conv2", "dense3", "dense4", "dense5")
    params = variables["params"]
    return [tuple(np.array(params[name][part], np.float64) for part in ("kernel", "bias")) for name in names]


def convolve(x, kernel, bias):
    """Σ_abc x[i + a, j + b, c] W[a, b, c, u] + bias, one output entry at a time."""
    (height, width, _), (rows, columns, _, units) = x.shape, kernel.shape
    h = np.empty((height - rows + 1, width - columns + 1, units))
    for i, j, u in np.ndindex(h.shape):
        h[i, j, u] = (x[i : i + rows, j : j + columns] * kernel[..., u]).sum() + bias[u]
    return h


def pool(x):
    height, width, units = x.shape
    y = np.empty((height // 2, width // 2, units))
    for i, j, u in np.ndindex(y.shape):
        y[i, j, u] = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, u].max()
    return y


def forward(parts, phis, images, shape):
    """(pre-activations, outputs φ(h)) of every layer, examples as leading axis."""
    height, width, channels = shape
    hidden, outputs = ([[] for _ in parts] for _ in range(2))
    for image in np.asarray(images, np.float64):
        x = np.empty(shape)
        for i, j, c in np.ndindex(shape):
            x[i, j, c] = image[c * height * width + i * width + j]
        for layer, ((kernel, bias), phi) in enumerate(zip(parts, phis, strict=True)):
            h = convolve(x, kernel, bias) if layer < 2 else x.ravel() @ kernel + bias
            hidden[layer].append(h)
            outputs[layer].append(phi.f(h))
            x = pool(phi.f(h)) if layer < 2 else phi.f(h)
    return [np.stack(h) for h in hidden], [np.stack(x) for x in outputs]


def loss(parts, phis, images, labels, shape):
    """Mean cross-entropy."""
    logits = forward(parts, phis, images, shape)[1][-1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean()
