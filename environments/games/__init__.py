"""What a game is, and the two shapes in which one enters: in rounds, or as a PettingZoo environment."""
