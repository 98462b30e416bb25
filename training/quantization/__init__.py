"""Eight bits imitated in plain torch."""
