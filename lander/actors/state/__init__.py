"""The state of a training: what a checkpoint holds, how it is captured and restored."""
