"""Files beside the records: seals that prove them, an index that finds them."""
