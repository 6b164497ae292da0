"""The commands: options, a plan, a call."""
