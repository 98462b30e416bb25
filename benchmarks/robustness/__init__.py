"""Hostile files and killed runs."""
