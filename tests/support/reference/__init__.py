"""The learner a second time, in plain Python, for the tests to hold `transfer` against."""
