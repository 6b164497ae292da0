"""Where and how work runs: devices, environment, signals, progress."""
