"""From the text of a study file to a checked study, and what is said where it is wrong."""
