"""Studies that look at their data as they come: error rates, coverage, and what they save."""
