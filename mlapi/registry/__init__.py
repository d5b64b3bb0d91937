"""The registry: a folder of models, each a folder of immutable versions, and labels that point to them."""
