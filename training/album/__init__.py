"""Folders of photos: which files are inputs, where results go, and what is done already."""
