"""Values of inference: what is asked, what is answered, and the signature both must fit."""
