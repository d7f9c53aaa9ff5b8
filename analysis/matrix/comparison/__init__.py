"""Side by side: the memories of one study, or several runs."""
