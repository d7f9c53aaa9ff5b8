"""What happened while pools were learned, and whether the gate knew."""
