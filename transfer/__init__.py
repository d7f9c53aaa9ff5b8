"""Transfer: what is remembered, how it is learned, and who holds it."""
