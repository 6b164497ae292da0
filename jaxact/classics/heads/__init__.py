"""Which activation belongs on an output."""
