"""Against published DPED and other runtimes."""
