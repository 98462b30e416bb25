"""A camera that real phones could have: `photograph(photo, shot)` develops a DSLR-grade photo anew."""
