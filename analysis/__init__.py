"""Analysis: tables in, estimates, tests, figures and reports out."""
