"""The 1,797 8x8 digits that come with scikit-learn, split the same way for everyone."""

import numpy as np

from jaxact.data.raw import Raw

_EVERY = 5


def load_raw() -> tuple[Raw, str]:
    """Return the digits and where they came from.

    The split has no randomness: examples are sorted by class, in file order within a class, and every fifth of them,
    beginning with the first, is a test example. That gives 1,437 training and 360 test examples with every class in
    the same proportion to within one example. Both parts keep the file order.

    Returns:
        Pixels 0..16 as bytes and labels, and one line naming the source.
    """
    from sklearn.datasets import load_digits  # slow to import

    images, labels = load_digits(return_X_y=True)
    pixels = images.astype(np.uint8).reshape(-1, 8, 8, 1)
    classes = labels.astype(np.uint8)
    test = np.zeros(len(classes), bool)
    test[np.argsort(classes, kind="stable")[::_EVERY]] = True
    return Raw(pixels[~test], classes[~test], pixels[test], classes[test]), "scikit-learn's load_digits"
