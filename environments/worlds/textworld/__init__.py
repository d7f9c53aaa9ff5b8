"""TextWorld's generated games: find a coin, cook a meal; each seed is a game of its own."""
