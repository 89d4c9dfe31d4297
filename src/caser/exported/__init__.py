"""A run as one ONNX file: what makes it, what reads it with care, and what answers from it."""
