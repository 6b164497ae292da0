"""The report: one self-contained page of any folder of records."""

NEEDED = ("jinja2", "matplotlib", "plotly")
"""Packages of the extra `report`."""
