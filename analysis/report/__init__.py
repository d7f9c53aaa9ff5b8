"""Results as a page, tables and figures."""
