"""The environments in the shapes of other libraries, each behind an extra of its own."""
