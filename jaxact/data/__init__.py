"""Named data sets: `load` gives standardised NumPy arrays, `SPECS` what is known without reading anything.

Importing this package loads NumPy only; whatever a source needs is imported when that source is asked.
"""

from jaxact.data.dataset import Dataset, load, standardise
from jaxact.data.specs import SPECS, Spec, check_data_dir, check_limit, spec

__all__ = ["SPECS", "Dataset", "Spec", "check_data_dir", "check_limit", "load", "spec", "standardise"]
