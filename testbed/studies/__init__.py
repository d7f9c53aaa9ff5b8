"""What a study plays, in which order."""
