"""The rows of `experiments.benchmark` that run on PyTorch, as `jaxact.benchmark.with_jax` has them on JAX."""

from importlib import import_module
from typing import Any

from jaxact.benchmark.task import BATCH, SHAPES, Made, Repeat, Spec, timed


def eager(spec: Spec, *, single: bool = False, loader: bool = False) -> Made:
    """PyTorch eager: `Linear` layers, cross-entropy, SGD in its fused form (the fastest of its three here).

    Args:
        spec: the task.
        single: one thread instead of all.
        loader: batches from a shuffling DataLoader in the same process; otherwise from tensors by a permutation.
    """
    torch = import_module("torch")
    if single:
        torch.set_num_threads(1)
    config, (images, labels) = spec.config(), map(torch.from_numpy, spec.data())
    labels = labels.long()
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "selu": torch.nn.SELU}
    tensors = torch.utils.data.TensorDataset(images, labels) if loader else None

    def batches() -> Any:
        if tensors is not None:
            yield from torch.utils.data.DataLoader(tensors, batch_size=BATCH, shuffle=True, num_workers=0)
            return
        for rows in torch.randperm(len(images)).split(BATCH):
            yield images[rows], labels[rows]

    def run() -> Repeat:
        torch.manual_seed(spec.rank)
        layers = [torch.nn.Linear(inputs, outputs) for inputs, outputs in SHAPES]
        pairs = zip(layers, (activations[name]() for name in spec.activations), strict=True)
        model = torch.nn.Sequential(*(module for pair in pairs for module in pair))
        optimizer = torch.optim.SGD(model.parameters(), lr=config.learning_rate, momentum=config.momentum, fused=True)

        def train() -> None:
            for x, y in batches():
                optimizer.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()

        return timed(train, spec.steps)

    return run, {"torch": torch.__version__, "threads": torch.get_num_threads()}
