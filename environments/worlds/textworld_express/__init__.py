"""TextWorld-Express: quick text games in Java, each seed a game of its own, with games held out for tests."""
