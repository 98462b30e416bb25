"""Published TensorFlow checkpoints, read without TensorFlow."""
