"""Which activations the planar experiment knows: the elementwise catalogue, and one deliberately wrong derivative."""

from jaxact import activations as catalogue
from jaxact.activations import Activation

WRONG_SIGMOID = Activation(
    "sigmoid_wrong_derivative",
    "jaxact.classics.planar.network:sigmoid_wrong_derivative",
    formula="sigmoid(x), with a = sigmoid(x) back-propagated as sigmoid(a) (1 - sigmoid(a)) instead of a (1 - a)",
    latex=r"\sigma(x),\ \varphi' := \sigma'(\sigma(x))",
    range=(0.0, 1.0),
    source="A learners' bug (Coursera, Neural Networks and Deep Learning, week 3)",
    derivative_at_zero=0.2350037122015945,
    lipschitz=0.25,
    notes="The facts describe what is computed: this 'derivative' lies between 0.197 and 0.25 everywhere, so the unit "
    "back-propagates almost as a linear one. Kept out of the catalogue, whose derivatives are all right.",
    spec="sigmoid_wrong_derivative",
)


def activation(name: str) -> Activation:
    """An activation for the hidden units, by name.

    Args:
        name: `sigmoid_wrong_derivative`, or whatever `jaxact.activations.get` accepts, if it is elementwise.

    Returns:
        The entry.

    Raises:
        ValueError: an unknown name (the message has the closest one), a wrong parameter, or a vector function.
    """
    if name.strip() == WRONG_SIGMOID.name:
        return WRONG_SIGMOID
    entry = catalogue.get(name)
    if entry.kind != "elementwise":
        known = ", ".join(catalogue.names("elementwise"))
        raise ValueError(f"activation {name!r} is not elementwise, a hidden unit needs one of: {known}")
    return entry
