"""Strict JAX for every test: implicit rank promotion raises.

Much of the suite's time is XLA's: programs are compiled without optimisation (`make test-slow` compiles with it) and
once, for all workers, processes and runs, in a cache that `make clean` removes.
"""

import os
import signal
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` would leave it ignored in every process that a test starts

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
