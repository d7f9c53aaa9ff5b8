"""ALFWorld: household tasks in text, from its own game files, by TextWorld."""
