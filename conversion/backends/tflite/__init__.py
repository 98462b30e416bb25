"""TFLite for LiteRT."""
