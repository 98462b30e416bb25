"""Reports as tables, drawings and HTML."""
