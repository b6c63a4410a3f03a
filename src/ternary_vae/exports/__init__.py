"""Taking a trained model's results elsewhere: tables of codes, ONNX, TensorBoard's projector."""
