"""Files beside the lines: what the study was, its pools, seals that prove the lines, an index that finds them."""
