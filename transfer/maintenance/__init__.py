"""What a skill is worth, and which one leaves."""
