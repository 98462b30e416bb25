"""Metrics, and what is judged by them."""
