"""A diverged network must be seen: no activation turns NaN into a number."""

import numpy as np
import pytest

from jaxact import activations as catalogue


@pytest.mark.parametrize("name", catalogue.names("elementwise"))
def test_a_nan_stays_a_nan(name):
    assert np.isnan(catalogue.get(name)(np.float32("nan")))
