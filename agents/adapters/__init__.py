"""The methods under other libraries' trainers, each behind an extra of its own."""
