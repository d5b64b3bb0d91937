"""What is counted while models answer."""
