"""Serving: one data plane between the protocols and the loaded models."""
