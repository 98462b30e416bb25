"""The process that a script runs in: its threads, its memory, what third parties print, what is not installed."""
