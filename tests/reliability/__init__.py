"""Sweeps that break the registry on purpose: processes killed, writes refused, power lost, files tampered with."""
