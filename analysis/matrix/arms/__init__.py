"""Arms over the whole matrix: scores, several episodes per seed, where variance comes from."""
