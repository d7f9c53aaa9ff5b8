"""Ray's machines: at which address they are, what there is on them, and who finds room there."""
