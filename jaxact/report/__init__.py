"""One palette, tables and text, for every figure and page."""
