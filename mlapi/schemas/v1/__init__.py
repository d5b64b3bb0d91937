"""V1: the TensorFlow Serving REST API (api_rest.md) together with the KServe V1 protocol."""
