"""The commands of `mlapi`."""
