"""The MultiWOZ scenario: a city's venues, trains and taxis, and customers who want some of them."""
