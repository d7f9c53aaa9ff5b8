"""Which stored skills are used, and whether more than a selector that draws at random would use."""
