"""Measurements that the READMEs quote."""
