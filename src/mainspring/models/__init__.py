"""Models: signatures, safe formats, compilation to ONNX with measured parity, the registry and its cards."""
