"""Gates held against what candidates are truly worth."""
