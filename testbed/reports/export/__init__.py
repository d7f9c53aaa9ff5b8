"""A run in other people's tools: its numbers while it is on its way, its episodes when it is done."""
