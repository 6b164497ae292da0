"""The colours and markers of every figure: Okabe and Ito's palette, which colour-blind readers tell apart.

Source: Okabe & Ito 2008, "Color universal design".
"""

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK, YELLOW = "#E69F00", "#56B4E9", "#000000", "#F0E442"
GREY, PALE = "#999999", "#BBBBBB"
"""For what is no category: reference lines and backgrounds."""

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
"""Of categories, in the order in which they are used."""
MARKERS = "osD^vPX*h"
"""One per category, so that a figure can be read without its colours."""
