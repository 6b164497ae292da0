"""Figures and facts of the catalogue."""
