"""Whether a run directory holds what it says, and what can be mended."""
