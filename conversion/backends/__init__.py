"""What one toolchain needs, a folder for each."""
