"""TextArena's games behind our contract."""
