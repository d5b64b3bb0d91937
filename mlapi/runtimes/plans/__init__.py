"""Prediction plans: what a fitted estimator computes, as data and a few numpy kernels; no code is stored."""
