"""A run watched from outside: what its directory says now, and a local page of it."""
