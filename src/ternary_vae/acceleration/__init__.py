"""What exists for speed alone. Each part does what its plain twin does, and is held against it by a test: several runs
stacked into one program (`fleet`, `stacked`), steps recorded and replayed (`recorded`), parts of a measurement side by
side (`parallel`), memory and number formats of the processor (`memory`, `denormals`). `fleet.Fleet` is the one way in
for training: it chooses how epochs are trained."""
