"""Cases of field_cases.py, a file for each family of faults; each has a list `CASES`."""
