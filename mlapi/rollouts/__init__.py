"""Moving traffic from one version of a model to another, step by step, with proof."""
