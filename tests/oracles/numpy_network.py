"""A multilayer perceptron, its loss, its gradients and its training in float64 NumPy, and a made-up data set."""

import numpy as np

from jaxact.data import Dataset


def toy(train=40, test=30, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)

    def images(n):
        return rng.normal(size=(n, features)).astype(np.float32)

    def labels(n):
        return rng.integers(0, classes, n).astype(np.int32)

    return Dataset(images(train), labels(train), images(test), labels(test), "made by numpy")


def layers_of(params):
    """[(kernel, bias)] per layer, float64, from the parameters of `jaxact.models.MLP`."""
    names = [f"dense{i}" for i in range(1, 1 + sum(name.startswith("dense") for name in params))]
    return [tuple(np.asarray(params[name][part], np.float64) for part in ("kernel", "bias")) for name in names]


def forward(layers, phis, x):
    """(pre-activations, activations), the input being activation 0."""
    hidden, outputs = [], [np.asarray(x, np.float64)]
    for (kernel, bias), phi in zip(layers, phis, strict=True):
        hidden.append(outputs[-1] @ kernel + bias)
        outputs.append(phi.f(hidden[-1]))
    return hidden, outputs


def losses(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]


def loss_and_gradients(layers, phis, x, labels):
    """(mean cross-entropy, [(d kernel, d bias)]), by the chain rule."""
    hidden, outputs = forward(layers, phis, x)
    exponentials = np.exp(outputs[-1] - outputs[-1].max(axis=1, keepdims=True))
    delta = (exponentials / exponentials.sum(axis=1, keepdims=True) - np.eye(outputs[-1].shape[1])[labels]) / len(x)
    gradients = []
    for i in reversed(range(len(layers))):
        delta = delta * phis[i].df(hidden[i])
        gradients.insert(0, (outputs[i].T @ delta, delta.sum(axis=0)))
        delta = delta @ layers[i][0].T
    return losses(outputs[-1], labels).mean(), gradients


def sgd(layers, velocities, gradients, rate, momentum):
    """v ← μ v + g, w ← w − η v."""
    velocities = [
        tuple(momentum * v + g for v, g in zip(*pair, strict=True)) for pair in zip(velocities, gradients, strict=True)
    ]
    layers = [tuple(w - rate * v for w, v in zip(*pair, strict=True)) for pair in zip(layers, velocities, strict=True)]
    return layers, velocities


def at_rest(layers):
    return [tuple(np.zeros_like(part) for part in layer) for layer in layers]


def train_epoch(layers, velocities, phis, images, labels, batches, rate, momentum):
    """One pass over `batches` (lists of rows): (layers, velocities, mean loss, accuracy), scored before each update."""
    loss = right = 0.0
    for rows in batches:
        logits = forward(layers, phis, images[rows])[1][-1]
        loss += losses(logits, labels[rows]).sum()
        right += (logits.argmax(axis=1) == labels[rows]).sum()
        gradients = loss_and_gradients(layers, phis, images[rows], labels[rows])[1]
        layers, velocities = sgd(layers, velocities, gradients, rate, momentum)
    n = sum(map(len, batches))
    return layers, velocities, loss / n, right / n
