"""Two photos of one scene -> aligned patches."""
