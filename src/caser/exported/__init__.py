"""A run as one ONNX file: how it is written, checked, and answered from."""
