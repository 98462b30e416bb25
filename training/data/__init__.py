"""Where samples come from, how they are packed and drawn."""
