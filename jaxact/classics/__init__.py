"""The classic questions, each a plan, a measurement and a page."""
