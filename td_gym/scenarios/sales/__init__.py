"""Sales: a lender's agent offers a customer an instalment credit."""
