"""Training judges: marks a policy may be trained on, and therefore never evidence."""
