"""The report: one self-contained page of any folder of records."""
