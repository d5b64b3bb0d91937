"""From fitted estimators to the steps of plans; for publishing, never imported by a server that only answers."""
