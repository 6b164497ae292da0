"""Strict JAX for every test: implicit rank promotion raises."""

import os
import signal

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "4")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` would leave it ignored in every process that a test starts

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
