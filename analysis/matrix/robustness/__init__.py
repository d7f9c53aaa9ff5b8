"""What a verdict hangs on: other methods, other priors, any one learning run."""
